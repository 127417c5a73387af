# A restart while frozen would stop what could not be started again.
task web
start
at 1s supctl freeze web
supctl restart web
expect refused "nothing was stopped"
expect web running
