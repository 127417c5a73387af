# kill -9 of the supervisor: the tasks go on, and the next one takes them over: none lost, none doubled.
task web
task job restart=on-failure
task import kind=triggered
start
at 1s supctl run import
at 2s crash
at 3s job exits 0
at 4s start
expect log "web: adopted"
expect web running
expect import running
expect job backoff "ended unseen, exit status unknown"
at 5s
expect job running
expect forked web job import job
# an adopted one that ends later: it is not our child, but the kernel tells
web exits 0
expect web backoff "exit 0"
