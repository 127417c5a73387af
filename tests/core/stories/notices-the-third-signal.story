# Somebody is in a great hurry: nobody is waited for.
supervisor notify
task web
start
errands take 3s
at 1s web exits 1
SIGTERM
SIGTERM
SIGTERM
at 2s expect ended 0
