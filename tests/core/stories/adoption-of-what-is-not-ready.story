# Its time to become ready begins anew, as what it has to say could have been lost; a probe is simply asked again.
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
