# A failed alert is retried after 30, 60 and 120 s, then dropped and counted. The log has it once.
supervisor notify
task web initial=1
start
notify_command fails
at 1s web exits 1
expect told "web failed"
at 1.5s expect log "error: notify_command: exit 1; tried again"
at 30s expect told ""
at 32s expect told "web failed, and 1 more"
at 90s expect told ""
at 92s expect told "web failed, and 1 more"
at 210s expect told ""
at 212s expect told "web failed, and 1 more"
at 1000s expect told ""
notify_command works
at 1500s web exits 1
expect told "web failed"
at 1501s expect log "info: notify_command works again"
