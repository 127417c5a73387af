# `supctl scale` is in force until `replicas` changes in the config, also while no supervisor runs.
task web
task db
start
supctl scale web=3
supctl scale db=2
at 1s crash
task web replicas=2
start
at 2s expect db:2 running
expect web:2 running
at 3s expect no web:3
