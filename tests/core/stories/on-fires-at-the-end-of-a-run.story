# `on` fires a task when a run of another task ends so: of a firing with `retry` after its last attempt.
task backup kind=triggered retry=2/2
task tell kind=triggered on=backup.failed,backup.ended
task cheer kind=triggered on=backup.succeeded,web.succeeded
task web restart=on-failure initial=5
task page kind=triggered on=web.failed overlap=queue
backup will exit 1 after 1s
backup will exit 1 after 1s
backup will exit 0 after 1s
tell will exit 0 after 1s
tell will exit 0 after 1s
tell will exit 0 after 1s
cheer will exit 0 after 1s
page will exit 0 after 1s
web will exit 3 after 20s
start
supctl run backup
at 2500ms expect forked @timekeeper @scribe web backup
at 6s expect forked backup tell
at 7s supctl run backup
at 10s expect forked backup cheer tell
at 12s supctl run backup
at 13s supctl stop backup
at 15s expect forked backup tell
at 22s expect forked page
