# A machine error refuses a reload only for new and changed tasks. For others it is a warning: the file was lost
# while the config was in force, and this must not block the change of another task.
task web
task app
start
expect forked web app
at 1s missing web conf:1: task "web": directory: "/srv/web" does not exist [machine]
task app command=v2
supctl reload --dry-run
at 2s expect reply "restarted: app (command)"
supctl reload
at 4s expect reply "restarted: app (command)"
expect reply "unchanged: 1 task"
expect log "warning: config: conf:1: task "web": directory"
expect forked app
supctl status
expect reply "web   running"
# a changed task and a new one are refused
task web grace=1
supctl reload --dry-run
at 5s expect refused "conf:1: task "web": directory: "/srv/web" does not exist [machine]"
supctl reload
at 6s expect refused "the config has errors, nothing was changed:"
supctl status
expect reply "the config has errors"
task web
missing web
task mail
missing mail conf:9: task "mail": command: "mail" is not found in PATH [machine]
SIGHUP
at 7s expect log "error: config: conf:9: task "mail": command: "mail" is not found in PATH [machine]"
expect no mail
# the missing file exists now
missing mail
supctl reload
at 8s expect reply "added: mail"
expect mail running
supctl status
expect reply "web   running"
expect forked mail
