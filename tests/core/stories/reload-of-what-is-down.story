# A new definition of a task that is down restarts nothing, and does not say so.
task web
task api
start
at 1s supctl stop web
task web command=v2
task api command=v2
supctl reload
at 2s expect reply "changed: web (command)"
expect reply "restarted: api (command)"
