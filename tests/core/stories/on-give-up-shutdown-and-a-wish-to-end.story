# Who asks for the end meanwhile does not want it to be started again.
task web
task cron give_up=1/60 on_give_up=shutdown
web will stop in 5s
start
at 1s cron exits 7
at 2s supctl shutdown
at 9s expect ended 0
