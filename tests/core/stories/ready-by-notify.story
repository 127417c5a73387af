# A task with ready = "notify" reports when it is ready. Its dependents wait until then.
task web ready=notify
task app after=web
web will get ready after 3s
start
at 2s expect web starting "waits for READY=1"
expect app held "starts after web, which is starting"
at 2500ms web says STATUS=loading 5 of 10
expect web starting "status: loading 5 of 10"
at 4s expect web running "status: loading 5 of 10"
expect app running
