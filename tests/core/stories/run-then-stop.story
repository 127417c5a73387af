# A run is held until its dependency is ready, and is stopped before. Nothing runs later.
task db start_timeout=60
task import kind=triggered after=db
db will hang 30s
start
at 1s supctl run import --wait
expect no reply
at 2s supctl stop import
expect log "skipped the firing of 2026-11-18T11:06:41.000Z: stopped by root"
expect import stopped
at 40s expect import stopped "waits for a trigger"
