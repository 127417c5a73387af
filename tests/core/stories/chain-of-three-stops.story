# Three tasks require each other in a chain. A stop of the last one stops all three, dependents first.
task db
task app requires=db
task web requires=app
start
expect forked db
at 1s
expect forked app web
supctl stop db
after 1s
expect db stopped "stopped by root"
expect app held "requires db, which is stopped"
expect web held "requires app, which is held"
expect signals web SIGTERM, app SIGTERM, db SIGTERM
