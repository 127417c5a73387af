# Who was stopped as unwell has failed, also if it obeys with exit 0: it is started again, and counted.
task web health=1 failures=1 restart=on-failure initial=5 give_up=2/60
task app watchdog=5 restart=on-failure initial=5 give_up=2/60
web will stop politely
app will stop politely
start
web answers http 503
at 3s expect web backoff "unwell: http 503 (1 in a row); exit 0"
at 6s expect app backoff "watchdog: no sign of life for 5 s; exit 0"
at 9s web answers http 503
at 20s expect web failed "gave up: 2 failures within 1m"
expect app failed "gave up: 2 failures within 1m"
