# Failures during a shutdown do not freeze the next start.
supervisor auto_freeze=1/60
task web
start
at 1s web will stop in 1s
SIGTERM
web exits 1
at 3s expect ended 0
start
at 4s expect web running
