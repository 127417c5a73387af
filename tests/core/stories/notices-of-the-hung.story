# A watchdog that is missed again and again is told once: it has not recovered before it has lived for its watchdog.
supervisor notify
task web watchdog=30 initial=1
start
at 31s expect message "web is unwell: watchdog: no sign of life for 30 s"
expect told "web is unwell"
at 200s expect told ""
web says WATCHDOG=1
at 220s web says WATCHDOG=1
at 240s expect told "web recovered"
