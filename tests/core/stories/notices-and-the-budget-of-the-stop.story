# A shutdown waits for the last alert, but not longer than stop_grace.
supervisor notify stop_grace=5
task web
start
errands take 9s
at 1s web exits 1
at 2s supctl shutdown
at 6.9s expect alive 0
expect no reply
at 7.1s expect ended 0
expect log "some alerts could not be sent before the end of stop_grace"
