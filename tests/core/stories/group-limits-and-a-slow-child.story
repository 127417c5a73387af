# A child that was forked before a reload applies the old limits of its group. The new limits are then applied again.
task web
task db start_timeout=20
group etl web db cpu=2
db will hang 5s
start
at 1s expect shared etl cpu=2
group etl web db cpu=1
supctl reload
at 2s expect shared etl cpu=1
at 7s expect db running
expect shared etl cpu=1
# The same for a child that never executes its program.
db will hang 5s, fail to exec: exec: No such file or directory
supctl restart db --no-wait
at 8s
group etl web db cpu=3
supctl reload
at 9s expect shared etl cpu=3
at 13s
expect shared etl cpu=3
# The same after a crash, by the next supervisor.
group etl web db cpu=4
crash
start
at 14s expect shared etl cpu=4
