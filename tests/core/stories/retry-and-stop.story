# A person, and a newer firing, stop a run: that is neither failure nor success, and there is no next attempt.
task tick kind=triggered schedule=*_*_*_*_* retry=5
start
at 21s expect tick running
supctl stop tick
at 30s expect tick stopped
at 79s expect forked @timekeeper @scribe tick
