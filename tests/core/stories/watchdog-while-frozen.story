# A watchdog that expires while frozen is shown, and the run goes on. WATCHDOG=1 makes it healthy again.
task web watchdog=5
start
at 1s supctl freeze
at 10s expect web running "watchdog: no WATCHDOG=1 for 5 s; left alone while frozen"
web says WATCHDOG=1
expect web running
at 12s supctl thaw
web says WATCHDOG=10s
at 20s expect web running
expect forked web
at 25s expect forked web
