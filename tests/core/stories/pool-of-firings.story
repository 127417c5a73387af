# Firings of several tasks at the same moment take no more slots than there are, and wait for the others.
pool db 2
task a kind=triggered schedule=0_*_*_*_* pool=db
task b kind=triggered schedule=0_*_*_*_* pool=db
task c kind=triggered schedule=0_*_*_*_* pool=db/2
a will exit 0 after 10s
b will exit 0 after 20s
c will exit 0 after 10s
start
at 3201s
expect forked a b
expect c stopped
supctl why c
expect reply "waits for 2 slots of pool db: 2 of 2 slots are used by a and b"
after 15s
supctl pool
expect reply "db    2      1     1        b"
supctl pool db
expect reply "c     waits for  2      2026-11-18T12:00:00.000Z"
after 10s expect forked c
after 30s
supctl schedule
expect reply "c     2026"
