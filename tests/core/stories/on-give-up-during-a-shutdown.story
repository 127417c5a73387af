# Failures during a shutdown do not freeze the next start.
task db
task web requires=db give_up=1/60 on_give_up=freeze
web will stop in 5s
start
at 1s SIGTERM
web exits 1
at 9s expect ended 0
start
at 10s expect web running
