# A continuous task that ends before it is ready has failed, whatever its exit code (as systemd: result "protocol").
task web ready=notify restart=on-failure initial=1
web will exit 0 after 1s
start
at 1500ms expect web backoff "exit 0 before it was ready"
at 10s expect web starting "waits for READY=1"
