# What a task says of itself is shown: a status, an error, and that it reloads, until READY=1 says that it has.
task web ready=notify
start
at 1s web says READY=1
web says STATUS=12 requests
web says ERRNO=No such file or directory
expect web running "says: 12 requests; error: No such file or directory"
web says RELOADING=1
web says STATUS=reads its config
expect web running "says: reads its config; reloading; error: No such file or directory"
web says READY=1
expect web running "says: reads its config; error: No such file or directory"
expect forked web
