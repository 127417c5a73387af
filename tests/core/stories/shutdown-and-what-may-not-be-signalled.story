# A shutdown does not wait for a main process of another user, which it may not signal. The next supervisor has it.
task web grace=1
task db grace=1
web will refuse signals
start
at 1s supctl stop web
SIGTERM
at 5s expect web stopping
at 10s expect reply "still alive after SIGKILL"
expect ended 1
expect forked @scribe web db
start
at 11s expect web stopping
expect forked @scribe db
