# One firing for each start of the supervisor: none after a crash or a reload. While frozen, it waits.
task job kind=triggered autostart=yes
task other
job will exit 0 after 1s
job will exit 0 after 1s
job will exit 0 after 1s
start
at 5s expect forked @timekeeper @scribe other job
crash
start
supctl reload
at 10s expect forked @scribe @timekeeper
SIGTERM
at 20s expect ended 0
start
at 25s expect forked @timekeeper @scribe other job
power fails
start
at 5s expect forked @timekeeper @scribe other job
