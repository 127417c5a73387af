# An unwell task is alerted once, not as failed too, and not after each restart. Only a good answer proves that it is
# well.
supervisor notify
task web health=40 failures=1 health_delay=30 initial=1
start
web answers http 503
at 31s expect message "web is unwell: http 503 (1 in a row)"
expect told "web is unwell"
at 35s expect forked web web
web answers http 503
at 60s expect told ""
at 68s expect forked web
web answers http 503
at 98s expect told ""
# now it is healthy
at 150s expect told "web recovered"
# a failure by itself is another kind of alert
at 160s web exits 1
at 161s expect told "web failed"
