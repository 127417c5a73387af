# The next supervisor takes over what is ready and healthy. Nothing restarts, no dependent either.
task web ready=notify watchdog=10 health=10
task db ready=probe
task app requires=web,db
web will get ready after 1s
start
at 5s web says STATUS=serving
web answers http 503
at 9s web says WATCHDOG=1
at 18s crash
at 40s start
expect web running "status: serving; http 503 (1 in a row)"
expect app running
expect forked web db app
web answers well
at 49s web says WATCHDOG=1
at 55s expect web running
expect app running
expect forked nothing
