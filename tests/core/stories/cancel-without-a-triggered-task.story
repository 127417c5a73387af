# Without a triggered task nobody knows firings, and a request for one is answered at once.
task web
start
supctl cancel import:1/2@e
expect refused "no run and no firing 'import:1/2@e' is known"
supctl cancel import/manual/1.e.1
expect refused "no run and no firing 'import/manual/1.e.1' is known"
supctl retry import:1/2@e
expect refused "no triggered task"
# The last triggered task goes while @timekeeper cannot answer.
task job kind=triggered
supctl reload
after 1s
firings full
supctl cancel job:1/7@e
expect no reply
remove job
supctl reload
after 1s
expect log "cancel job:1/7@e wait: refused: no run and no firing 'job:1/7@e' is known"
