# A restart while frozen is refused, because the task could not start again.
task web
start
at 1s supctl freeze web
supctl restart web
expect refused "nothing was stopped"
expect web running
