# It ends when the last message is out; who asked for the end is told when that is so.
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
