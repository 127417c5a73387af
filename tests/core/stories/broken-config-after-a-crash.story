# Living tasks never stay without a supervisor: with a broken config on the disk, the next one uses the last good
# config.
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
# after a reload the new config is the last good one
crash
broken conf:1: no such key
start
expect web running
at 4s SIGTERM
at 5s expect ended 0
start
expect ended 78
