# A task that is unwell while frozen is not stopped at the thaw, as long as it is paused.
task web watchdog=5
start
at 1s supctl freeze
at 7s expect web running "watchdog: no WATCHDOG=1 for 5 s; left alone while frozen"
supctl pause web
at 8s supctl thaw
at 20s expect web running "paused by root"
expect signals nothing
supctl resume web
at 21s expect signals web SIGTERM
expect log "web: stopping: watchdog: no WATCHDOG=1 for 5 s"
