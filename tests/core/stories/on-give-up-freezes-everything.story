task web give_up=2/60 initial=1 on_give_up=freeze
task mail initial=2
start
at 1s mail exits 1
web exits 1
at 2.1s web exits 1
expect web failed "gave up: 2 failures within 1m"
expect mail held "frozen by the supervisor since 2026-11-18T11:06:42.100Z: on_give_up of web: gave up: 2 failures"
expect forked web mail web
supctl status
expect reply "frozen: everything by the supervisor since 2026-11-18T11:06:42.100Z: on_give_up of web: gave up: 2 failures"
# The freeze outlives the supervisor and the machine; a task that has failed already does not freeze again.
at 5s crash
start
expect mail held "on_give_up of web"
SIGTERM
at 6s expect ended 0
start
expect web held "on_give_up of web"
supctl thaw
at 7s expect reply "web starts now"
expect mail running
expect web running
