# A person requests a shutdown during the escalation: the unit does not start the supervisor again.
task web
task cron give_up=1/60 on_give_up=shutdown
web will stop in 5s
start
at 1s cron exits 7
at 2s supctl shutdown
at 9s expect ended 0
