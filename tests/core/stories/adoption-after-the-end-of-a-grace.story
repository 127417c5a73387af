# The grace of a stop ends while no supervisor runs. The next supervisor sends the stop signal again and gives the whole
# grace.
task web grace=5
web will ignore the stop
start
at 1s supctl stop web --no-wait
expect signals web SIGTERM
at 3s crash
at 20s start
expect signals web SIGTERM
at 24.9s expect web stopping
expect signals nothing
at 25.1s expect signals web SIGKILL
expect web stopped
