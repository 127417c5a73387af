# The helper of an earlier supervisor speaks through that one's stdout: it is replaced, not just stopped.
task web log=inherit
start
at 1s crash
start
at 2s
expect signals @scribe SIGTERM
expect forked web @scribe @scribe
expect @scribe running
SIGTERM
at 3s
expect ended 0
expect signals web SIGTERM, @scribe SIGTERM
