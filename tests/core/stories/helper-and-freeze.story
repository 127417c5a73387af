# A freeze does not hold a helper, and its back-off is its own.
task web log=inherit
supervisor freeze
start
expect forked @scribe
at 1s @scribe exits 1
expect @scribe backoff for 100ms
at 2s @scribe exits 1
expect @scribe backoff for 192ms
at 3s
expect forked @scribe @scribe
