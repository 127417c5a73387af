# Another copy of what is required, or one less, is no reason to take down what requires it; none at all is.
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
