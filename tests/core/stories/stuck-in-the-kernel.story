# What SIGKILL does not end is named, stays visible, and is tried again; the client is told after a while.
task web grace=1
web will ignore the stop, survive 5 kills
start
at 1s supctl stop web
at 2.1s expect web stopping "sent SIGKILL"
at 3.1s expect web stopping "still there: web:1 (pid 101)"
at 12s expect reply "web: still there after SIGKILL: web:1 (pid 101); it goes on being tried"
at 2m expect web stopped
