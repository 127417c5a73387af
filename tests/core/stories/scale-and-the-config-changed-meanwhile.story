# `supctl scale` holds until the config says another number, also when it says so while no supervisor is there.
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
