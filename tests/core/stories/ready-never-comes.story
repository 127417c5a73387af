# Not ready in time is a failure. The reason has the last answer of the probe, and the process gets the dump signal.
task web ready=probe start_timeout=3 dump_signal=SIGQUIT initial=1
web will answer connection refused, ignore the stop
web will answer connection refused
start
at 3500ms expect web stopping "not ready within 3 s: connection refused"
expect signals web SIGQUIT
at 4500ms expect signals web SIGTERM
at 20s expect web backoff "killed by SIGQUIT"
