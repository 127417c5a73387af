# What needs two slots is not starved by what needs one.
pool gpu 2
task a pool=gpu
task b pool=gpu autostart=no
task big pool=gpu/2 autostart=no
start
after 100ms expect a running
supctl start big
after 100ms expect big held "waits for 2 slots of pool gpu: 1 of 2 slots are used by a"
supctl start b
after 100ms expect b held "waits for pool gpu: 1 of 2 slots are used by a, and big is before it, which needs 2"
supctl stop a
after 100ms expect big running
expect b held "waits for pool gpu: 2 of 2 slots are used by big"
supctl stop big
after 100ms expect b running
