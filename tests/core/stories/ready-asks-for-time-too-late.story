# EXTEND_TIMEOUT_USEC has no effect after SIGKILL.
task web ready=notify grace=2
web will get ready after 1s, ignore the stop, survive 2 kills
start
at 2s supctl stop web
at 4100ms expect web stopping "sent SIGKILL"
web says EXTEND=1m
expect web stopping for 900ms
