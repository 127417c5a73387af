# SIGKILL is repeated about once a minute, for as long as it takes.
task web grace=1
web will ignore the stop, survive 3000 kills
start
at 1s supctl stop web
at 60h
expect web stopped
