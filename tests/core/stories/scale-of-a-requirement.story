# One instance more or less of a required task does not stop its dependents. No instance at all does.
task db
task web requires=db
start
at 1s
expect forked db web
supctl scale db=2
at 2s
supctl scale db=1
at 3s
expect forked db:2
expect signals db:2 SIGTERM
expect web running
supctl scale db=0
at 4s
expect web held "requires db, which has no instance"
expect signals web SIGTERM, db SIGTERM
supctl status db
expect reply "no tasks"
supctl start web
expect reply "web: held"
supctl scale db=1
at 5s expect web running
