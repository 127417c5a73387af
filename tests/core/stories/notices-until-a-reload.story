# Without notify_command no alerts are collected.
supervisor notify
task web initial=1
start
notify_command fails
at 1s web exits 1
expect told "web failed"
supervisor
supctl reload
at 2s web exits 1
at 100s expect told ""
