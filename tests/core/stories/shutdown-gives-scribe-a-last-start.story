# No task is left. @scribe is started once, to store the data that waits for it, and not a second time.
task web log=inherit
start
at 1s supctl stop web
at 2s @scribe exits 1
expect @scribe backoff
expect forked @scribe web
SIGTERM
at 4s
expect forked @scribe
expect signals web SIGTERM, @scribe SIGTERM
expect ended 0
