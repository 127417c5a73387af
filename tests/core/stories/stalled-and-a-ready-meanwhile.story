# Messages that a task sent while the supervisor stood still are read before any deadline expires.
task web ready=notify start_timeout=5 watchdog=2
web will get ready after 4s
start
at 1s stall 8s
at 9s expect web running
at 10.9s expect web running
at 11.1s expect log "web: stopping: watchdog: no WATCHDOG=1 for 2 s"
