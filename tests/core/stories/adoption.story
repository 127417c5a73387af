# kill -9 of the supervisor: the tasks keep running. The next supervisor takes them over: none is lost, none is doubled.
descriptors lost
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
# an adopted run that ends later is not our child, but the kernel reports its exit status
web exits 0
expect web backoff "exit 0"
