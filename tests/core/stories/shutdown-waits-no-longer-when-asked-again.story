# A second request cuts the wait for a foreground task short; `--within` does so beforehand.
supervisor stop_grace=60
task load kind=startup mode=foreground
start
supctl shutdown --within 30s
at 1s expect load running "the shutdown waits for its end"
supctl shutdown --within 10s
expect log "requested by root: foreground tasks are stopped in 10 s at the latest"
at 5s supctl shutdown --within 20s
expect signals nothing
at 6s SIGTERM
expect log "SIGTERM: foreground tasks are stopped now"
expect signals load SIGTERM
at 7s expect ended 0
