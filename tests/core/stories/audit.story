# Every act is on record with its outcome. A slow act is on record as soon as it is requested. Reading is not an act.
task web
task import kind=triggered
start
at 1s supctl status
supctl why web
supctl events
web will stop in 2s
supctl stop web as ann
expect log "info: audit: ann (uid 0, pid 7, "supctl"): stop web wait: asked"
at 4s expect log "info: audit: ann (uid 0, pid 7, "supctl"): stop web wait: done"
supctl run import --env TOKEN=secret -- --full
at 5s expect log "info: audit: root (uid 0, pid 7, "supctl"): run import env=TOKEN=… args=--full: done"
supctl stop nobody
expect log "audit: root (uid 0, pid 7, "supctl"): stop nobody wait: refused: no task 'nobody'"
supctl freeze --reason "bad deploy" --for 1h
at 6s expect log "audit: root (uid 0, pid 7, "supctl"): freeze reason=bad deploy for=3600.0: done"
supctl start web
expect log "audit: root (uid 0, pid 7, "supctl"): start web wait: web: held: frozen by root"
supctl restart import --no-wait
hang up
supctl thaw
at 7s supctl stop web
hang up
# The act is on record with its outcome, whether or not its client waits.
expect log "audit: root (uid 0, pid 7, "supctl"): stop web wait: asked"
at 9s expect log "audit: root (uid 0, pid 7, "supctl"): stop web wait: done"
supctl shutdown
at 9.1s expect ended 0
expect log "audit: root (uid 0, pid 7, "supctl"): shutdown: done"
