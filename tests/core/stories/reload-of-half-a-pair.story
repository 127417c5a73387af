# A reload removes a required task and the `requires` that names it: nothing stops.
task db
task web requires=db
start
at 1s
task web
remove db
supctl reload
at 2s
expect web running
expect no db
expect signals db SIGTERM
# a new requirement does not affect a run that exists
task db
task web requires=db
supctl reload
at 3s
expect web running
expect db running
expect signals nothing
