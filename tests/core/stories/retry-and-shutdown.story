# A run that our shutdown cuts off uses no attempt: it runs again at the next start.
task tick kind=triggered schedule=*_*_*_*_* retry=2/5
tick will exit 1 after 1s
start
at 27s expect tick running
SIGTERM
at 30s expect ended 0
expect forked @timekeeper @scribe tick tick
start
at 31s expect tick running
expect log "attempt 2 of its firing"
tick exits 1
at 50s expect tick stopped
expect forked @timekeeper @scribe tick
