supervisor auto_freeze=2/10
task web initial=1 factor=1
task cron kind=triggered
start
at 1s web exits 1
at 12s web exits 1
at 14s expect web running
# a stop by a person and a success do not count; a failed run that was started by hand does
supctl restart web
at 15s web exits 0
at 17s supctl stop web
at 18s supctl start web
at 23s expect web running
cron will exit 1 after 10ms
supctl run cron
at 24s web exits 1
expect web held "auto_freeze: 2 failures within 10s: cron 1, web 1"
