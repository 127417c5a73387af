# An instance that is removed by `scale` and added again continues the numbers of its runs.
task web replicas=2
start
at 1s supctl scale web=1
at 2s supctl scale web=2
at 3s
supctl show web:2
expect reply "web:2/2"
