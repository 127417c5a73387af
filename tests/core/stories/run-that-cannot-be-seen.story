# Without a free descriptor the supervisor cannot find out whether a run is over. The run counts as alive until it can.
task web grace=1
task mail
web will leave 1
start
at 1s descriptors gone
web exits 1
expect web stopping
at 20s expect web stopping
expect forked web mail
supctl stop mail
at 21s expect mail stopping
descriptors back
at 30s expect web running
expect mail stopped
expect forked web
