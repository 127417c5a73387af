# STOPPING=1, and then the supervisor dies: the grace begins anew, not the time of the watchdog.
task web ready=notify grace=4 watchdog=60
web will get ready after 1s, ignore the stop
start
at 2s web says STOPPING=1
at 3s crash
at 4s start
at 7500ms expect web running "it says that it is stopping"
at 8500ms expect web stopping "said that it is stopping, and did not end within 4 s"
