# A shutdown does not wait for a helper that cannot start.
task web log=inherit
start
at 1s @scribe exits 1
expect @scribe backoff
expect forked @scribe web
web will stop in 1ms
@scribe will fail to fork: Too many processes
SIGTERM
at 1.005s
@scribe will fail to fork: Too many processes
at 4s
expect forked nothing
expect ended 0
