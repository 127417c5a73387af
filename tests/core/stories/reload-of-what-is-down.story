# A new definition of a stopped task restarts nothing, and the answer does not name a restart.
task web
task api
start
at 1s supctl stop web
task web command=v2
task api command=v2
supctl reload
at 2s expect reply "changed: web (command)"
expect reply "restarted: api (command)"
