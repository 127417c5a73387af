# Somebody waits for a stop, somebody else starts it again: the first one is told, not kept waiting for ever.
task web grace=5
web will stop in 3s
start
at 1s supctl stop web as ann
at 2s supctl start web --no-wait as bob
expect reply "asked; stopping now"
supctl stop web --no-wait
supctl start web as cid
at 5s
expect web running
