# After a stall, a freeze still ends at the time that was shown, and a back-off is not longer.
task web initial=10
start
supctl freeze --for 10s
at 5s stall 20s all
expect log "thawed"
web exits 1
stall 20s all
after 1ms expect web running
