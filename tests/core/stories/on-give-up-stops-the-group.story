# Dependents stop first. The task that gave up stays failed. Tasks outside of its groups go on.
task db
task web requires=db
task mail
task cron give_up=2/60 initial=1 on_give_up=stop-group
group etl cron web db
web will stop in 2s
start
at 1s cron exits 1
at 3s cron exits 1
at 4s expect cron failed "gave up: 2 failures within 1m, the last: exit 1"
expect why cron "on_give_up = stop-group"
expect log "error: stop-group (web, db): on_give_up of cron: gave up: 2 failures within 1m, the last: exit 1"
expect web stopping "stop requested by on_give_up of cron"
expect db running "about to stop: stop requested by on_give_up of cron"
expect signals web SIGTERM
at 6s expect web stopped "stopped by on_give_up of cron"
expect db stopped "stopped by on_give_up of cron"
expect signals db SIGTERM
expect mail running
# a person can start the group again
supctl start @etl
at 10s expect reply "cron: running"
expect web running
expect cron running
