# A hold with `--for` ends by itself, also one of a group, over a crash and a clock that was set.
task tick kind=triggered schedule=*/10_*_*_*_*_* catch_up=none
group etl tick
tick will exit 0 after 1s
start
at 1s supctl schedule --hold @etl --for 30s
at 2s expect reply "until"
at 5s crash
start
wall jumps 3
at 25s expect forked nothing
at 28.5s expect log "schedules are released by its own end: @etl"
at 40s expect forked tick
