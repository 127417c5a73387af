# WATCHDOG_USEC= replaces the period of the config, or turns the watchdog off; also before READY=1, and after a crash.
task web ready=notify watchdog=50
task app ready=notify watchdog=5
task old watchdog=5
start
at 1s web says WATCHDOG=3s
app says WATCHDOG=0s
old says WATCHDOG=1
crash
at 2s start
at 3s web says READY=1
app says READY=1
at 5s old says WATCHDOG=1
expect web running
at 6500ms expect forked web app old web
expect log "web: stopping: watchdog: no WATCHDOG=1 for 3 s"
at 60s expect app running
expect forked old old old old old old old
