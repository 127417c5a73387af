# A watchdog that fails repeatedly is alerted once. The task recovers only after it has run for its watchdog period.
supervisor notify
task web watchdog=30 initial=1
start
at 31s expect message "web is unwell: watchdog: no WATCHDOG=1 for 30 s"
expect told "web is unwell"
at 200s expect told ""
web says WATCHDOG=1
at 220s web says WATCHDOG=1
at 240s expect told "web recovered"
