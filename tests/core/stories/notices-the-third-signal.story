# After the third SIGTERM the supervisor waits for no alert.
supervisor notify
task web
start
errands take 3s
at 1s web exits 1
SIGTERM
SIGTERM
SIGTERM
at 2s expect ended 0
