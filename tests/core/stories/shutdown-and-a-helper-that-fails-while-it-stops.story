# @scribe fails while it stops: it is started once more, not a third time.
task web log=inherit
@scribe will stop in 5s
start
at 1s SIGTERM
at 2s expect @scribe stopping
@scribe will stop in 5s
@scribe exits 1
at 2.1s expect @scribe stopping
expect forked @scribe web @scribe
@scribe exits 1
at 4s
expect forked nothing
expect ended 0
