# WATCHDOG=trigger fails the run at once, as if the watchdog had expired.
task web watchdog=50
start
at 1s web says WATCHDOG=trigger
at 1500ms expect forked web web
expect log "watchdog: the task asked for its end (WATCHDOG=trigger)"
