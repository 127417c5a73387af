# The definition changed while no supervisor ran. The next supervisor restarts the run, which has the old definition.
task web
task api
start
at 1s expect forked web api
crash
task web command=other
start
at 2s
expect forked web
expect signals web SIGTERM
expect web running
expect api running
