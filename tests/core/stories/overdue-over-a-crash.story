# When a task becomes overdue does not depend on the life of the supervisor, and nobody is told twice.
supervisor notify
task backup kind=triggered expect=100
start
at 50s crash
at 60s start
at 99s supctl status
expect reply "ok"
at 101s supctl status
expect reply "no success for 100s (expected within 100s)"
expect told "backup is overdue"
at 110s crash
at 120s start
at 200s supctl status
expect reply "no success for 3m19s (expected within 100s)"
expect told ""
backup:1 will exit 0 after 1s
supctl run backup --wait
at 210s supctl status
expect reply "ok"
expect told "backup recovered"
