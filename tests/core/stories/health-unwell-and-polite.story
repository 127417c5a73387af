# A task that was stopped as unwell has failed, also if it ends with exit 0. It is restarted, and the failure counts.
task web health=1 failures=1 restart=on-failure initial=5 give_up=2/60
task app watchdog=5 restart=on-failure initial=5 give_up=2/60
web will stop politely
app will stop politely
start
web answers http 503
at 3s expect web backoff "unwell: http 503 (1 in a row); exit 0"
at 6s expect app backoff "watchdog: no WATCHDOG=1 for 5 s; exit 0"
at 9s web answers http 503
at 20s expect web failed "gave up: 2 failures within 1m"
expect app failed "gave up: 2 failures within 1m"
