# The supervisor ends when the last alert is sent. A client that waits for the shutdown gets its answer then.
supervisor notify
task web
start
errands take 3s
at 1s web exits 1
supctl shutdown
at 2s expect alive 0
expect no reply
at 6s expect ended 0
expect told "web failed"
