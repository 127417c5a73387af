# While frozen, running tasks go on, `stop` works, exits are recorded, and a start is held with the reason.
task web
task api
start
at 1s supctl freeze
at 2s supctl stop api
at 3s
expect api stopped "stopped by root"
supctl start api
expect reply "api: held: frozen by root"
web exits 7
expect web held "frozen by root"
expect why web "exit 7"
expect forked web api
expect ready
