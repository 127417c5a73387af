# A run beyond limits.runtime is alerted as failed, with the reason, not as unwell.
supervisor notify
task web runtime=60 initial=1
start
at 62s expect message "web failed: runtime: it has run for 60 s; killed by SIGTERM"
expect told "web failed"
