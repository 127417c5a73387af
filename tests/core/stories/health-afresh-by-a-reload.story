# A reload that changes the probe discards earlier answers.
task web health=1 failures=3
start
at 100ms web answers http 503
at 2500ms expect web running "http 503 (2 in a row)"
task web health=4 failures=3
supctl reload
expect web running
at 7s expect web running "in a row"
expect signals nothing
at 12s expect signals web SIGTERM
expect log "web: stopping: unwell: http 503 (3 in a row)"
