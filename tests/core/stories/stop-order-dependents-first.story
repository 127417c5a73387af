# A stop of everything: dependents stop before what they require; independent tasks stop at once.
task db
task web requires=db
task job after=web
task lone
web:1 will stop in 2s
start
at 1s
expect forked db lone web job
supctl stop --all
expect db running "about to stop: stop requested by root"
expect signals job SIGTERM, lone SIGTERM
at 2s
expect signals web SIGTERM
expect db running
expect no reply
at 4s
expect signals db SIGTERM
expect reply "db: stopped (killed by SIGTERM after"
expect alive 0
