# The supervisor stands still for longer than start_timeout: the task gets that time back.
task web ready=notify start_timeout=5
task db ready=probe start_timeout=5
db will answer http 503
start
at 1s stall 8s
at 9s expect web starting
expect log "the supervisor stood still for 8.0 s"
at 12s web says READY=1
expect web running
at 12.9s expect db starting
at 13.1s expect log "db: stopping: not ready within 5 s: http 503"
