# `supctl stop` of a failed task makes it stopped.
task web restart=never
web will exit 1 after 10ms
start
at 1s expect web failed "exit 1"
supctl stop web
expect web stopped "stopped by root"
expect reply "stopped (exit 1 after"
