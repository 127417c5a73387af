# A helper is no task: that it dies is no storm.
supervisor auto_freeze=2/60
task web log=inherit
start
at 1s @scribe exits 1
at 2s @scribe exits 1
at 3s @scribe exits 1
at 4s web exits 1
expect forked web @scribe @scribe @scribe @scribe
at 10s expect web running
