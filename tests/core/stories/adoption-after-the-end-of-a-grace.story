# Its SIGKILL was due while no supervisor was there: it comes at once.
task web grace=5
web will ignore the stop
start
at 1s supctl stop web --no-wait
expect signals web SIGTERM
at 3s crash
at 20s start
expect signals web SIGKILL
at 20.1s expect web stopped
