# Dependents first; who gave up stays failed, for people to see; who is in no group with it goes on.
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
expect web stopping "stop asked by on_give_up of cron"
expect db running "to stop: stop asked by on_give_up of cron"
expect signals web SIGTERM
at 6s expect web stopped "stopped by on_give_up of cron"
expect db stopped "stopped by on_give_up of cron"
expect signals db SIGTERM
expect mail running
# it is a wish like any other: a person takes it back
supctl start @etl
at 10s expect reply "cron: running"
expect web running
expect cron running
