# A start-up task that gives up holds the others, with the reason. It does not delay READY.
task migrate kind=startup
task web
migrate:1 will exit 3 after 1s
start
at 2s
expect migrate failed "exit 3"
expect web held "start-up task migrate has not succeeded (exit 3)"
expect why migrate "Nothing happens by itself: `supctl start migrate`"
expect ready
supctl start web
expect reply "held"
expect forked migrate
# a start by a person clears it
migrate:1 will exit 0 after 1s
supctl start migrate web
at 4s
expect reply "running"
expect migrate stopped "done"
expect web running
