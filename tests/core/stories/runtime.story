# A run beyond limits.runtime is stopped and counts as failed.
task batch runtime=60 restart=on-failure initial=1 grace=5
task other requires=batch
start
at 50s expect batch running
at 61s expect forked batch other
expect log "batch: stopping: runtime: it has run for 60 s"
expect batch backoff "runtime: it has run for 60 s; killed by SIGTERM"
at 62s expect batch running
