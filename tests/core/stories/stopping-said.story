# After STOPPING=1 a task has its grace to end by itself, then it is stopped. Its dependents stop at once.
# Neither WATCHDOG=1 nor a second STOPPING=1 extends that time.
task web ready=notify grace=4 watchdog=60
task app requires=web
web will get ready after 1s, ignore the stop
start
at 2s web says STOPPING=1
expect web running "it reports that it is stopping"
at 3s expect app held "requires web, which reports that it is stopping"
at 4s web says WATCHDOG=1
at 5s web says WATCHDOG=30s
web says STOPPING=1
at 6500ms expect web stopping "reported that it is stopping, but did not end within 4 s"
at 11s expect web starting
