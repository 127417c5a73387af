# Started frozen: nothing is forked, the service manager is told READY, and the thaw starts in the order of dependencies.
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
# the file is edited: that alone is enough
supervisor
touched
at 3601s
expect forked db web
expect web running
