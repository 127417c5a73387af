# start_timeout begins again for a task that is not ready, as READY=1 may be lost. A ready probe is asked again.
task web ready=notify start_timeout=10
task db ready=probe start_timeout=10
db will answer refused then well
start
at 1500ms crash
at 9s start
expect web starting for 10s
at 12s expect db running
web says READY=1
expect web running
expect forked web db
