# A stop during a start: the child never executes its program.
task web start_timeout=5
web will hang 3s
start
at 1s
expect web starting "its program is not running yet"
supctl stop web
expect signals web SIGTERM
at 2s
expect web stopped
expect alive 0
expect reply "stopped"
