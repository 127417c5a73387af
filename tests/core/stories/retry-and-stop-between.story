# A person stops a task while a firing of it waits for the next attempt: there is none.
task tick kind=triggered schedule=*_*_*_*_* retry=5/30
tick will exit 1 after 1s
start
at 22s expect why tick "Attempt 2 of 5 at"
supctl stop tick
at 60s expect why tick "Fires next at 2026-11-18T11:08:00"
expect forked @timekeeper @scribe tick
