# drain_delay and the wait for a foreground task are parts of the same stop_grace.
supervisor stop_grace=60 drain_delay=20
task load kind=startup mode=foreground grace=10
task web
load:1 will exit 0 after 30s
start
SIGTERM
at 19s expect web running
at 21s expect web held
expect load running
at 31s expect ended 0
