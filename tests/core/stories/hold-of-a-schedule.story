# A hold stops the schedule, and nothing else. It outlives the supervisor and the machine.
# What was due meanwhile is missed, and caught up at the release.
task tick kind=triggered schedule=*_*_*_*_*
task web
tick will exit 0 after 2s
tick will exit 0 after 2s
start
at 10s supctl schedule --hold tick --reason "the database moves"
at 11s expect reply "held: the schedules of tick; `supctl run` still starts runs"
expect log "the schedule of tick is held by root since"
expect forked web
at 30s expect tick stopped
supctl why tick
expect reply "the schedule of tick is held"
expect ready
web exits 1
at 31s expect forked web
at 40s supctl run tick
at 41s expect forked tick
expect tick running
at 50s crash
start
at 100s expect forked nothing
supctl schedule
expect reply "waits: the schedule of tick is held by root since"
power fails
tick will exit 0 after 2s
start
at 161s expect forked web
supctl schedule
expect reply "the schedule of tick is held by root since"
supctl status
expect reply "the schedule of tick is held by root since"
supctl schedule --release tick
at 162s expect forked tick
