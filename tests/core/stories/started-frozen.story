# Started frozen, the supervisor starts no task and reports READY. The thaw starts tasks in the order of dependencies.
supervisor freeze
task db
task web requires=db
start
expect forked nothing
expect ready
expect db held "frozen by conf:supervisor"
expect web held "frozen by conf:supervisor"
at 1h expect forked nothing
supctl thaw
after 20ms expect reply "still frozen: everything by conf:supervisor (change that line)"
expect forked nothing
# the saved file alone thaws it
supervisor
touched
at 3601s
expect forked db web
expect web running
