# STOPPING=1: it has its grace to end by itself, then the stop protocol begins. Dependents go down at once.
# Neither a sign of life nor the same word once more gives it more time.
task web ready=notify grace=4 watchdog=60
task app requires=web
web will get ready after 1s, ignore the stop
start
at 2s web says STOPPING=1
expect web running "it says that it is stopping"
at 3s expect app held "requires web, which says that it is stopping"
at 4s web says WATCHDOG=1
at 5s web says WATCHDOG=30s
web says STOPPING=1
at 6500ms expect web stopping "said that it is stopping, and did not end within 4 s"
at 11s expect web starting
