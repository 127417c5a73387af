# A task sends STOPPING=1, then the supervisor dies: the grace begins again, not the watchdog period.
task web ready=notify grace=4 watchdog=60
web will get ready after 1s, ignore the stop
start
at 2s web says STOPPING=1
at 3s crash
at 4s start
at 7500ms expect web running "it reports that it is stopping"
at 8500ms expect web stopping "reported that it is stopping, but did not end within 4 s"
