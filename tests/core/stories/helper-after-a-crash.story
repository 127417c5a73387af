# A helper of an earlier supervisor writes to the stdout of that one. The next supervisor restarts it.
task web log=inherit
start
at 1s crash
start
at 2s
expect signals @scribe SIGTERM
expect forked @scribe web @scribe
expect @scribe running
SIGTERM
at 3s
expect ended 0
expect signals web SIGTERM, @scribe SIGTERM
