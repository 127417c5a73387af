# A newer firing takes the place of one that waits for its next attempt.
task tick kind=triggered schedule=*/10_*_*_*_*_* retry=5/15 overlap=replace
tick will exit 1 after 1s
tick will exit 0 after 1s
start
at 11500ms expect why tick "Attempt 2 of 5 at"
at 20500ms expect tick running
expect log "a newer firing took its place before attempt 2"
at 29s expect tick stopped
at 31s expect forked @timekeeper @scribe tick tick tick
