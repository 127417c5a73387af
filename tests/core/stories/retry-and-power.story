# The machine goes down while the first attempt is on. Nobody knows how far it came: the attempt is used.
task tick kind=triggered schedule=*_*_*_*_* retry=2/5
start
at 25s expect tick running
power fails
start
at 4s expect why tick "Attempt 2 of 2"
at 7s expect tick running
power fails
start
at 7s expect tick stopped
expect forked @timekeeper @scribe tick @timekeeper @scribe tick @timekeeper @scribe
