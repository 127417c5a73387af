# The last success survives a boot, and so does that people know.
supervisor notify
task backup kind=triggered expect=100
start
backup:1 will exit 0 after 1s
at 20s supctl run backup --wait
at 50s power fails
at 1s start
at 30s supctl status
expect reply "ok"
at 72s supctl status
expect reply "no success for 10"
expect told "backup is overdue"
at 80s power fails
at 1s start
at 300s supctl status
expect reply "no success for"
expect told ""
