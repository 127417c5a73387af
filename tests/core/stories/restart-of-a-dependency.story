# `supctl restart db` first stops the tasks that require db, and starts them after it.
task db
task web requires=db
start
at 1s
expect forked db web
supctl restart db
expect signals web SIGTERM
at 2s
expect signals db SIGTERM
expect forked db web
expect web running
expect reply "db: running"
