# The machine and its monotonic clock were suspended. A freeze still ends at the time that `status` shows.
task web
start
at 1s supctl freeze --for 30m
web exits 1
at 10s wall jumps 1000
expect web held "frozen"
at 20s wall jumps 28800
after 10ms expect web running
expect log "thawed by its own end"
supctl freeze --for 1m
web exits 1
wall jumps -3600
after 2m expect web held "frozen"
after 1h expect web running
