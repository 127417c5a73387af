# One client waits for a stop, another one starts the task again. The first client gets an answer.
task web grace=5
web will stop in 3s
start
at 1s supctl stop web as ann
at 2s supctl start web --no-wait as bob
expect reply "requested; stopping now"
supctl stop web --no-wait
supctl start web as cid
at 5s
expect web running
