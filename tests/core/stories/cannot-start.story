# A failed fork and a failed exec report the failed step. Both are retried, also with restart = "never".
task web
task api restart=never
web will fail to fork: Resource temporarily unavailable
api will fail to exec: exec /srv/api: No such file or directory
start
expect web backoff for 100ms "cannot start: fork: Resource temporarily unavailable"
at 1s
expect api running
expect web running
expect forked api web api
api exits 1
expect api failed "exit 1"
