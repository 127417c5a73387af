# The journal has a pause before anything stands still, and its end before anything goes on: a supervisor that dies in
# between is followed by one that does it once more, also to what is not ready yet.
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
