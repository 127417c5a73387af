# A child that hangs between fork and exec is stopped after start_timeout, as a failure of the task.
task web start_timeout=5
web will hang 60s
start
expect web starting for 5s
expect why web "If it is not ready at"
at 5.05s
expect web backoff "not ready within 5 s; killed by SIGTERM"
at 6s
expect web running
