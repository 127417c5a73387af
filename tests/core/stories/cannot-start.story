# A failed fork and a failed exec say the step, and follow the restart policy.
task web
task api restart=never
web will fail to fork: Resource temporarily unavailable
api will fail to exec: exec /srv/api: No such file or directory
start
expect web backoff for 100ms "cannot start: fork: Resource temporarily unavailable"
at 1s
expect api failed "cannot start: exec /srv/api: No such file or directory"
expect web running
expect forked api web
