# A pause outlives the supervisor: for a ready task, for one that is not ready, and for one that ends meanwhile.
task web watchdog=5
task slow ready=notify start_timeout=10
task db initial=5000
start
at 4s supctl pause '*' as ann
at 5s crash
db dies of SIGKILL
at 100s start
expect web running "paused by ann"
expect slow starting "paused by ann"
expect db backoff "killed by SIGKILL"
at 300s expect web running "paused by ann"
supctl stop slow
at 301s expect slow stopped
supctl resume web
crash in 3 calls
at 302s start
at 305s expect web running
web says WATCHDOG=1
at 309s expect web running
at 315s expect log "web: stopping: watchdog"
