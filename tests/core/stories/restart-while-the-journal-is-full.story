# It would stop what could not be started again: nothing is started that no record could tell of.
task web
start
at 1s journal full
supctl restart web
expect refused "nothing was stopped, as it could not be started again: cannot write the journal: No space left on device"
expect web running
expect signals nothing
journal free
supctl restart web
at 2s expect reply "web: running"
expect signals web SIGTERM
