# No probe is sent before initial_delay is over: not for `ready`, not for `health`, and not after a reload.
task web ready=probe ready_delay=5 health=1 health_delay=7 failures=1 initial=50
web will answer well
start
at 4.9s expect web starting
at 6s expect web running
web answers http 503
at 11.5s expect web running
expect signals nothing
at 14s expect web backoff "unwell: http 503"
