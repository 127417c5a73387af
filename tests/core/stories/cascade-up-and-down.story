# `after` only orders the start. With `requires`, a task also stops and starts again with the task that it requires.
task db
task web requires=db
task log after=db
start
at 1s
expect forked db web log
db exits 1
expect db backoff for 100ms "exit 1"
expect log running
expect web stopping "requires db, which waits for its restart"
at 1.05s
expect web held "requires db, which waits for its restart"
at 2s
expect forked db web
expect web running
expect signals web SIGTERM
