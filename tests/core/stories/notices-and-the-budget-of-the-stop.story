# A shutdown waits for people to be told, but not longer than for tasks.
supervisor notify stop_grace=5
task web
start
errands take 9s
at 1s web exits 1
at 2s supctl shutdown
at 6.9s expect alive 0
expect no reply
at 7.1s expect ended 0
expect log "not everything could be told in the time of the whole stop"
