# Not ready in time is a failure; it is told what the probe heard last, and the hung process may leave a stack.
task web ready=probe start_timeout=3 dump_signal=SIGQUIT initial=1
web will answer connection refused, ignore the stop
web will answer connection refused
start
at 3500ms expect web stopping "not ready within 3 s: connection refused"
expect signals web SIGQUIT
at 4500ms expect signals web SIGTERM
at 20s expect web backoff "killed by SIGQUIT"
