# Lost output is alerted once while it lasts, and again after an hour without losses. Events and `status` have every
# loss.
supervisor notify
task web
start
at 1s web drops 1000 bytes
expect log "warning: web: 1000 bytes (100 lines) of its output could not be written: No space left on device"
expect told "web lost output"
supctl status web
expect reply "1000 bytes of its output dropped, the last at"
at 60s web drops 500 bytes
expect log "debug: web: 500 bytes (50 lines) of its output could not be written: No space left on device"
at 100s expect told ""
supctl why web
expect reply "1500 bytes (150 lines) of its output could not be written: No space left on device."
# the next supervisor knows which alert was sent
crash
start
at 110s web drops 500 bytes
at 200s expect told ""
at 2h web drops 10 bytes
expect told "web lost output"
# output that is lost while no supervisor runs is alerted by the next one
at 3h crash
at 4h web drops 20 bytes
start
expect log "warning: web: 20 bytes (2 lines) of its output could not be written: No space left on device"
at 5h expect told "web lost output"
# a day later it is not shown in `why`, but still counted
at 48h supctl status web
expect reply "running"
supctl why web
expect reply "2030 bytes (203 lines)"
