# `run --wait` waits for the end of the last attempt. A person may cancel a firing that waits for its next attempt.
task job kind=triggered retry=3/2
job will exit 1 after 1s
job will exit 0 after 1s
job will exit 1 after 1s
start
at 1s supctl run --wait job
at 3s expect no reply
expect why job "Attempt 2 of 3 at"
at 6s expect reply "exit 0"
at 10s supctl run --wait job
at 12s expect why job "Attempt 2 of 3 at"
supctl stop job
at 20s expect job stopped
expect forked @timekeeper @scribe job job job
