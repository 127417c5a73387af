# A run that cannot be recorded is not started: the next supervisor would start it again. Running tasks go on.
task web initial=1 max=1
task db
start
at 1s journal full
web exits 1
at 3s expect web backoff "cannot start: cannot write the journal: No space left on device"
expect db running
expect log "cannot write the journal: No space left on device; running tasks go on"
expect alive 1
supctl stop db
at 3.5s expect reply "db: stopped"
# the state is written as soon as there is room, so the next supervisor starts nothing twice
journal free
at 6s expect web running
expect log "the journal can be written again"
at 7s crash
start
expect web running
expect db stopped
