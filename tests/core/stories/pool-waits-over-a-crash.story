# After a crash, what lives has its slots, and what has waited longest is first.
pool gpu 1
task late pool=gpu autostart=no
task early pool=gpu autostart=no
task on pool=gpu
start
supctl start early
after 2s
supctl start late
crash
after 1s
start
after 100ms expect on running
supctl stop on
after 100ms expect early running
expect late held "used by early"
