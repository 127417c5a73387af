task web give_up=3/60 initial=1 factor=1
web will exit 1 after 10ms
web will exit 1 after 10ms
web will exit 1 after 10ms
start
at 10s
expect web failed "gave up: 3 failures within 1m, the last: exit 1"
expect log "error: web: failed: gave up: 3 failures within 1m, the last: exit 1"
expect why web "supctl start web"
expect forked web web web
# a start clears it and begins a new window
web will exit 1 after 10ms
web will exit 1 after 10ms
supctl start web
at 11s expect reply "web: running"
at 20s expect web running
# a new definition clears it, too
web exits 1
at 20.1s expect web failed
task web give_up=3/60 initial=1 factor=1 command=v2
supctl reload
at 21s expect web running
