# SIGKILL is repeated about once a minute, without end.
task web grace=1
web will ignore the stop, survive 3000 kills
start
at 1s supctl stop web
at 60h
expect web stopped
