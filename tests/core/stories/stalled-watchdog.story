# The whole machine is suspended: no watchdog fires when it resumes.
task web watchdog=10 runtime=30
start
at 5s web says WATCHDOG=1
at 8s stall 20s all
at 28s expect web running
at 34.9s expect web running
web says WATCHDOG=1
at 44s web says WATCHDOG=1
# limits.runtime does not count that time, either
at 49.9s expect web running
at 50.1s expect log "web: stopping: runtime: it has run for 30 s"
