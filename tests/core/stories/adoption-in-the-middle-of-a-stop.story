# The supervisor dies after it recorded a stop and before it sent the signal. The next supervisor sends it.
task web grace=5
start
at 1s crash in 5 calls
supctl stop web
expect dead
expect signals nothing
at 3s start
expect signals web SIGTERM
at 4s expect web stopped
