# The machine has no process, then no memory, for the run of a firing. The firing is not used up: it waits. A command
# that is missing is a failure.
task tick kind=triggered schedule=*_*_*_*_* initial=2
tick will fail to fork: Resource temporarily unavailable
tick will fail to exec: exec /srv/tick: Cannot allocate memory
tick will exit 0 after 1s
tick will fail to exec: exec /srv/tick: No such file or directory
start
at 21s expect tick backoff "cannot start: fork: Resource temporarily unavailable"
at 23s expect tick backoff "cannot start: exec /srv/tick: Cannot allocate memory"
at 26500ms expect tick running
at 30s expect tick stopped
at 81s expect tick stopped "cannot start: exec /srv/tick: No such file or directory"
expect forked @timekeeper @scribe tick tick tick
