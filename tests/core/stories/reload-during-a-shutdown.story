# A reload during a shutdown is refused (not "unchanged"), also if it was requested just before.
task web
web will stop in 5s
start
errands take 1s
supctl reload
at 0.5s SIGTERM
at 1.5s expect refused "the supervisor is shutting down, nothing was reloaded: SIGTERM"
supctl reload
expect refused "the supervisor is shutting down"
SIGHUP
expect log "warning: not reloaded, the supervisor is shutting down"
at 9s expect ended 0
