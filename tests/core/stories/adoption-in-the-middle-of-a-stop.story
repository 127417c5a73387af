# Killed after it had written that it stops the task, before it had sent the signal: the next one sends it.
task web grace=5
start
at 1s crash in 5 calls
supctl stop web
expect dead
expect signals nothing
at 3s start
expect signals web SIGTERM
at 4s expect web stopped
