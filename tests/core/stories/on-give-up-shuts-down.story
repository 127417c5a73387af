# The exit code is not 0, so that the unit starts it again. Everything stops in order, and the next supervisor begins
# afresh.
task db
task web requires=db
task cron restart=never on_give_up=shutdown
web will stop in 1s
start
at 1s expect ready
cron exits 7
expect log "warning: shutting down: on_give_up of cron: exit 7"
expect web stopping "the supervisor is shutting down"
expect signals web SIGTERM
at 3s expect ended 69
start
at 4s expect cron running
