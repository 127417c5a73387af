# A firing that waits for its next attempt counts as a run that is on: a newer one is skipped.
task tick kind=triggered schedule=*/10_*_*_*_*_* retry=2/15
tick will exit 1 after 1s
tick will exit 0 after 1s
start
at 21s expect why tick "Attempt 2 of 2 at"
expect log "skipped the firing of 2026-11-18T11:07:00.000Z: firing tick/schedule/"
at 26500ms expect tick running
at 30500ms expect tick running
expect forked @timekeeper @scribe tick tick tick
