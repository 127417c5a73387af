# A removed task is stopped. Added again while it still stops, it starts when the old run is over.
task web grace=10
web will ignore the stop
start
at 1s remove web
supctl reload
at 2s expect web stopping "removed from the config by root"
# a removed task cannot be started
supctl start web
at 3s expect no reply
task web grace=10
supctl reload
at 10.9s expect alive 1
at 12s
expect web running
expect forked web web
