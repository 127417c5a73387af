# A process that survives SIGKILL is named and stays visible, and SIGKILL is repeated. The client gets an answer after a
# while.
task web grace=1
web will ignore the stop, survive 5 kills
start
at 1s supctl stop web
at 2.1s expect web stopping "sent SIGKILL"
at 3.1s expect web stopping "still alive: web:1 (pid 102)"
at 12s expect reply "web: still alive after SIGKILL: web:1 (pid 102); the supervisor tries again"
at 2m expect web stopped
