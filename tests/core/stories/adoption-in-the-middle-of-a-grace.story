# The grace began when the stop was decided. It does not begin anew with a new supervisor: SIGKILL comes on time.
task web grace=5
web will ignore the stop
start
at 1s supctl stop web --no-wait
expect signals web SIGTERM
at 3s crash
at 4s start
expect web stopping for 2s
expect signals web SIGTERM
at 5.9s expect signals nothing
at 6.1s expect signals web SIGKILL
expect web stopped
