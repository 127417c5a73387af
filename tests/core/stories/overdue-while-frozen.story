# A frozen task does not run, and so it is overdue like any other. The reason says that it is frozen.
supervisor notify
task backup kind=triggered every=60 expect=150
start
backup:1 will exit 0 after 1s
at 70s supctl freeze backup --reason deploy
at 212s supctl status
expect reply "no success for 2m30s (expected within 2m30s); backup is frozen by root"
expect message "no success for 2m30s (expected within 2m30s); backup is frozen by root"
backup:1 will exit 0 after 1s
supctl thaw backup
at 220s supctl status
expect reply "ok"
