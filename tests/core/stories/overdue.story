# A triggered task is overdue when no run has succeeded within `expect`. People are told once, and again at its end.
supervisor notify
task backup kind=triggered every=60 expect=150
start
backup:1 will exit 0 after 1s
backup:1 will exit 1 after 1s
backup:1 will exit 1 after 1s
backup:1 will exit 1 after 1s
backup:1 will exit 0 after 1s
at 70s supctl status
expect reply "ok"
expect why backup "it becomes overdue (expect)."
at 130s supctl status
expect reply "unwell"
expect told "backup failed"
at 211s expect told ""
at 212s expect log "warning: backup: no success for 2m30s (expected within 2m30s)"
expect why backup "No success for 2m30s (expected within 2m30s). Its next success ends that it is overdue."
supctl schedule
expect reply "backup: no success for 2m30s (expected within 2m30s)"
supctl status
expect reply "exit 1; no success for 2m30s (expected within 2m30s)"
expect told "backup is overdue"
at 300s expect told ""
at 350s expect log "info: backup: no longer overdue: a run has succeeded"
expect told "backup recovered"
supctl schedule
expect reply "without a success until then (expect)"
