# stop.to = "all": every process of the run gets the stop signal at once, none gets it twice.
task web grace=5 to=all
web will stop in 500ms, leave 1, stray 1
start
at 1s supctl stop web
expect signals web SIGTERM
at 1.6s expect web stopped
expect signals nothing
expect reply "web: stopped (killed by SIGTERM after 1.5 s)"
