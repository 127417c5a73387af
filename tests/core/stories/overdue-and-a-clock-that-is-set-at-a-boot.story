# A clock that is wrong at a boot may make a task overdue once. The next success ends that, with the right time.
supervisor notify
task backup kind=triggered expect=100
start
at 10s power fails
wall jumps 86400
at 1s start
at 2s expect told "backup is overdue"
backup:1 will exit 0 after 1s
supctl run backup --wait
at 60s expect told "backup recovered"
power fails
wall jumps -86400
at 1s start
at 90s supctl status
expect reply "ok"
expect told ""
