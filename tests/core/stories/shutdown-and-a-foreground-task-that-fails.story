# A foreground task that fails during the shutdown is not tried again, nor is one that waits for its restart.
supervisor stop_grace=60
task load kind=startup mode=foreground restart=on-failure initial=2
task warm kind=startup mode=foreground restart=on-failure initial=2
task web
load:1 will exit 1 after 10s
warm:1 will exit 1 after 1s
start
at 2s expect warm backoff
supctl shutdown
expect log "waits for the end of load (mode"
expect forked load warm web
at 9s expect web held "shutting down"
expect no reply
at 11s expect ended 0
