# A task is removed from the config while no supervisor runs. The next supervisor stops it with its old grace.
task web
task old grace=3
old will ignore the stop
start
at 1s crash
remove old
start
expect old stopping for 3s "removed from the config by the new config"
at 5s
expect no old
expect signals old SIGTERM, old SIGKILL
expect web running
