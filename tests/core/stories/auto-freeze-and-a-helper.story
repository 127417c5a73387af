# Failures of a helper do not count for auto_freeze.
supervisor auto_freeze=2/60
task web log=inherit
start
at 1s @scribe exits 1
at 2s @scribe exits 1
at 3s @scribe exits 1
at 4s web exits 1
expect forked @scribe web @scribe @scribe @scribe
at 10s expect web running
