# `supctl pool` gives a slot to a program that is no task, in its turn, and takes it back when that has ended.
pool gpu 1
task web pool=gpu
start
supctl pool gpu -- dump
expect no reply
supctl pool gpu --wait 0 -- make
expect refused "no slot of pool gpu at once: 1 of 1 slot is used by web"
supctl pool gpu --wait 5s -- make
after 5s expect refused "no slot of pool gpu within 5s: 1 of 1 slot is used by web"
supctl pool gpu --slots 2 -- make
expect refused "pool gpu has 1 slots, not 2"
supctl pool gpus -- make
expect refused "no pool 'gpus'; did you mean 'gpu'?"
supctl stop web
after 100ms expect log "pool gpu: 1 slot to dump (pid"
supctl start web
after 100ms expect web held "waits for pool gpu: 1 of 1 slot is used by dump (pid"
supctl pool
expect reply "gpu   1      1     1        dump (pid"
program dump ends
after 100ms expect web running
expect log "back from dump (pid"
