# `supctl restart db` takes down what requires it first, and brings it back after it.
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
