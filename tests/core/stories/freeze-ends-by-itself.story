# A freeze with `--for` ends at the time that was shown, also after a crash and after the clock was set.
task web
start
at 1s supctl freeze --for 10s
web exits 1
wall jumps -3
at 2s wall jumps 3
expect web held "until"
at 10.9s expect web held "frozen"
at 11.1s
expect web running
expect log "thawed by its own end"
supctl freeze --for 20s
at 15s crash
start
web exits 1
at 31s expect web held "frozen"
at 32s expect web running
