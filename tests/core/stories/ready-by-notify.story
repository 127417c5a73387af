# A task that says by itself when it is ready: until then those that depend on it wait.
task web ready=notify
task app after=web
web will get ready after 3s
start
at 2s expect web starting "waits for READY=1"
expect app held "starts after web, which is starting"
at 2500ms web says STATUS=loading 5 of 10
expect web starting "says: loading 5 of 10"
at 4s expect web running "says: loading 5 of 10"
expect app running
