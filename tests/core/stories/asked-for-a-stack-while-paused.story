# A paused task that fails has the dump signal pending when it continues, so it can obey that and then the stop signal.
task web dump_signal=SIGWINCH initial=5 grace=3
start
at 1s supctl pause web
at 2s web exceeds memory limit 512M
expect log "web: stopping: memory limit 512M"
at 2500ms expect web stopping for 500ms
at 3500ms expect web backoff "memory limit 512M; killed by SIGTERM"
# The main process ends in the meantime; the other processes continue, too.
at 9s expect web running
web will ignore the stop, leave 1
supctl restart web
at 10s supctl pause web
at 11s web exceeds memory limit 512M
at 11500ms web exits 3
at 11800ms expect web backoff "memory limit 512M; exit 3"
