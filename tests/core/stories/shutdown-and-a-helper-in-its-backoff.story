# A shutdown starts @scribe at once, as it must keep the last output and the last runs.
task web log=inherit
web will stop in 5s
start
at 1s @scribe exits 1
at 2s @scribe exits 1
at 3s @scribe exits 1
expect @scribe backoff
SIGTERM
expect forked @scribe web @scribe @scribe @scribe
at 4s @scribe exits 1
at 7s expect forked @scribe
at 20s
expect ended 0
expect signals web SIGTERM, @scribe SIGTERM
