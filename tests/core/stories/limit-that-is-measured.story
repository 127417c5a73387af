# A run beyond a limit that is only measured is stopped as failed, also while frozen.
task web initial=5 grace=2
start
at 1s web exceeds memory limit 512M (approximate)
at 2s expect web backoff "memory limit 512M (approximate); killed by SIGTERM"
at 7s expect web running
supctl freeze
at 8s supctl pause web
at 9s web exceeds processes limit 9
expect log "web: stopping: processes limit 9"
at 12s expect web held "frozen by root"
