# Tasks that live are never left alone: with a broken config on the disk the next supervisor has the last good one.
task web
task job
start
at 1s crash
broken conf:1: no such key
start
expect web running
expect log "config: conf:1: no such key"
supctl status
expect reply "the config has errors"
job exits 1
at 2s expect job running
task web command=v2
supctl reload
at 3s expect reply "restarted: web"
# what was reloaded is the last good one from then on
crash
broken conf:1: no such key
start
expect web running
at 4s SIGTERM
at 5s expect ended 0
start
expect ended 78
