# Wrong uses of --hold and --release, and a release without a hold.
task web
task tick kind=triggered schedule=*_*_*_*_*
task job kind=triggered
start
supctl schedule --reason nothing
expect refused "--reason and --for belong to --hold"
supctl schedule --hold nope
expect refused "nope"
supctl schedule web
expect refused "web is continuous: it has no schedule"
supctl schedule job
expect refused "job has neither a schedule nor `every`; `supctl run job` starts it"
supctl schedule --release
at 1s expect reply "nothing to release: no hold is in force there"
supctl schedule --hold
at 2s expect reply "held: the schedules of everything"
supctl schedule --release tick
at 3s expect reply "still held: everything by root (supctl schedule --release)"
