# A group whose members are all scaled to 0 is still a group; the answer names the tasks without an instance.
task web
group etl web
start
at 1s supctl scale web=0
at 2s supctl start @etl
expect refused "web has no instance (replicas = 0): `supctl scale web=1` gives it one"
at 3s supctl status @etl
expect reply "web has no instance"
supctl stop web
expect reply ""
supctl why web
expect refused "web has no instance"
supctl start @elt
expect refused "no group '@elt'; did you mean '@etl'?"
