# A restart is refused while the journal cannot be written, because the task could not be started again.
task web
start
at 1s journal full
supctl restart web
expect refused "nothing was stopped, because it could not be started again: cannot write the journal: No space left on device"
expect web running
expect signals nothing
journal free
supctl restart web
at 2s expect reply "web: running"
expect signals web SIGTERM
