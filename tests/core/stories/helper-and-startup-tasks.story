# A helper does not wait for start-up tasks, as their output must be read.
task migrate kind=startup log=inherit
task web log=inherit
migrate will exit 1 after 5s
start
expect forked @scribe migrate
at 1s @scribe exits 1
at 2s expect @scribe running
at 6s expect migrate failed
expect web held "start-up task migrate"
at 7s @scribe exits 1
at 8s expect @scribe running
