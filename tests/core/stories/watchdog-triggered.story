# WATCHDOG=trigger: it asks for its own end, as if the time were over.
task web watchdog=50
start
at 1s web says WATCHDOG=trigger
at 1500ms expect forked web web
expect log "watchdog: it asked for its end itself (WATCHDOG=trigger)"
