# WATCHDOG=1 at least every 5 s, or the run is stopped as hung. The watchdog begins when the task is ready.
task web ready=notify watchdog=5 dump_signal=SIGQUIT
task app requires=web
start
at 2s web says WATCHDOG=1
at 20s expect web starting
web says READY=1
at 24s web says WATCHDOG=1
at 28s expect web running
expect app running
expect signals nothing
at 29500ms expect forked web app web
expect log "web: stopping: watchdog: no WATCHDOG=1 for 5 s"
expect app held "requires web, which is starting"
