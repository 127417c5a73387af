# The recorded counters show which instance was in trouble, so the next supervisor alerts its recovery, once.
supervisor notify
task web initial=1 reset_after=60
start
at 1s web exits 1
expect told "web failed"
at 10s crash
at 11s start
at 61s expect told ""
at 63s expect told "web recovered"
crash
start
at 200s expect told ""
