# EXTEND_TIMEOUT_USEC gives more time to start and more time to stop, never less.
task web ready=notify start_timeout=5 grace=2
web will ignore the stop
start
at 4s web says EXTEND=10s
expect web starting for 10s
web says EXTEND=1s
expect web starting for 10s
at 13s web says READY=1
expect web running
supctl stop web
web says EXTEND=6s
expect web stopping for 6s
at 25s expect web stopped
