# A run that fails uses an attempt. The firing waits for the next one, and counts as one that is on. The last end is its
# end. The story begins at 11:06:40 by the wall clock (UTC).
supervisor notify
task tick kind=triggered schedule=*/20_*_*_*_*_* retry=3/3
tick will exit 1 after 1s
tick will die of SIGSEGV after 1s
tick will exit 2 after 1s
tick will exit 0 after 1s
start
at 22s expect tick stopped
expect why tick "Attempt 2 of 3 at 2026-11-18T11:07:04"
expect told ""
at 25s expect tick running
at 27s expect why tick "Attempt 3 of 3 at 2026-11-18T11:07:11"
at 31500ms expect tick running
at 33s expect why tick "Fires next at 2026-11-18T11:07:20"
expect told "tick failed"
expect log "tick: attempt 3 of its firing tick/schedule/"
at 40500ms expect tick running
at 42s expect tick stopped
expect forked @timekeeper @scribe tick tick tick tick
