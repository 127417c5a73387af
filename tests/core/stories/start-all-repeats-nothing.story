# `start --all`, a group or a glob does not repeat a start-up task that is done, and runs no triggered task.
task migrate kind=startup
task job kind=triggered
task web
group all migrate job web
start
at 1s migrate exits 0
at 2s
expect forked migrate web
supctl start --all
supctl start @all
supctl start '*'
at 3s expect forked nothing
supctl start migrate
at 4s expect forked migrate
