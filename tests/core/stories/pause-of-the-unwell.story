# What is unwell, and left alone as it is frozen, is left alone at the thaw as well, as long as it stands still.
task web watchdog=5
start
at 1s supctl freeze
at 7s expect web running "watchdog: no sign of life for 5 s; left alone while frozen"
supctl pause web
at 8s supctl thaw
at 20s expect web running "paused by root"
expect signals nothing
supctl resume web
at 21s expect signals web SIGTERM
expect log "web: stopping: watchdog: no sign of life for 5 s"
