# A triggered task whose last run failed is unwell until the next success, also over a boot. A stop is no failure.
supervisor health_listen=127.0.0.1:9000
task job kind=triggered essential=yes expect=1000
start
job:1 will exit 3 after 1s
at 1s supctl run job --wait
at 3s supctl status
expect reply "job   stopped  -    -       0         unwell  exit 3"
supctl run job
at 5s supctl status
expect reply "unwell  the last run failed: exit 3"
supctl stop job
at 6s supctl status
expect reply "unwell  killed by SIGTERM; the last run failed: exit 3"
at 10s power fails
at 1s start
at 5s supctl status
expect reply "unwell  waits for a trigger; the last run failed: exit 3"
job:1 will exit 0 after 1s
supctl run job --wait
at 7s supctl status
expect reply "ok      done"
expect balanced
