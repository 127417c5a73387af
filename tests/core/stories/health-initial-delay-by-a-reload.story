# After a reload that changes the probe, initial_delay begins again.
task web health=1
start
at 10s expect web running
task web health=2 health_delay=20 failures=1
supctl reload
web answers http 503
at 29s expect web running
expect signals nothing
at 33s expect signals web SIGTERM
expect log "web: stopping: unwell: http 503"
