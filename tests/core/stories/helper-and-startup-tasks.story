# A helper is no task: it waits for no start-up task, which may have something to say.
task migrate kind=startup log=inherit
task web log=inherit
migrate will exit 1 after 5s
start
expect forked migrate @scribe
at 1s @scribe exits 1
at 2s expect @scribe running
at 6s expect migrate failed
expect web held "start-up task migrate"
at 7s @scribe exits 1
at 8s expect @scribe running
