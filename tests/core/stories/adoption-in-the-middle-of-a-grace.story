# The grace began when the stop was decided. A new supervisor does not extend it: SIGKILL comes on time.
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
