# Fewer slots stop nothing, and let nothing start until there is room. A changed pool counts from the next run.
pool gpu 2
pool disk 1
task a pool=gpu
task b pool=gpu
task c pool=gpu
start
after 100ms expect c held "2 of 2 slots are used by a and b"
pool gpu 1
supctl reload
after 100ms expect reply "changed: pool gpu (slots)"
expect log "changed pool gpu"
after 100ms expect a running
expect b running
expect c held "waits for pool gpu: 2 of 1 slot is used by a and b"
a exits 0
after 100ms expect c held "waits for pool gpu: 1 of 1 slot is used by b"
task b pool=disk
supctl reload
after 100ms expect b running
expect c held "waits for pool gpu: 1 of 1 slot is used by b"
supctl restart b
after 100ms expect b running
expect c running
expect a held "1 of 1 slot is used by c"
pool gpu 3
supctl reload
after 100ms expect a running
