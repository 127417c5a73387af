# What a task reports by sd_notify is shown: STATUS, ERRNO, and RELOADING until READY=1.
task web ready=notify
start
at 1s web says READY=1
web says STATUS=12 requests
web says ERRNO=No such file or directory
expect web running "status: 12 requests; error: No such file or directory"
web says RELOADING=1
web says STATUS=reads its config
expect web running "status: reads its config; reloading; error: No such file or directory"
web says READY=1
expect web running "status: reads its config; error: No such file or directory"
expect forked web
