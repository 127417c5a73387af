# Three bad answers in a row: the run is stopped and counts as failed. A good answer between them resets the count.
task web health=10 initial=5
task app requires=web
start
at 1s expect web running
web answers http 503
at 25s expect web running "http 503 (2 in a row)"
web answers well
at 40s expect web running
web answers http 503
at 53s expect web running
expect app running
expect forked web app
at 64s expect web backoff "unwell: http 503 (3 in a row); killed by SIGTERM"
expect app held "requires web, which waits for its restart"
expect log "web: stopping: unwell: http 503 (3 in a row)"
at 75s expect web running
expect app running
expect why web "The last run ended"
