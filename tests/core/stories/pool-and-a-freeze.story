# A frozen task does not stand in the line, so it blocks nobody. After the thaw it comes last.
pool gpu 1
task a pool=gpu
task b pool=gpu
task c pool=gpu
start
after 100ms expect a running
expect b held "pool gpu: 1 of 1 slot is used by a"
supctl freeze b --reason deploy
after 100ms expect b held "frozen by root"
supctl stop a
after 100ms expect c running
supctl thaw b
after 100ms expect b held "pool gpu: 1 of 1 slot is used by c"
supctl start a
supctl stop c
after 100ms expect b running
expect a held "used by b"
