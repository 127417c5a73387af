# The journal has a pause before a process is stopped, and a resume before a process continues. If the supervisor dies
# in between, the next one does it again, also for a task that is not ready yet.
task web
task slow ready=notify start_timeout=1000
start
at 1s crash in 5 calls
supctl pause '*' as ann
expect dead
expect no still slow
at 2s start
expect web running "paused by ann"
expect still web
expect still slow
at 3s crash in 5 calls
supctl resume '*'
expect dead
expect still slow
at 4s start
expect slow starting "waits for READY=1"
expect no still web
expect no still slow
