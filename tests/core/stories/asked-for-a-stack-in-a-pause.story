# A paused task that fails continues with the dump signal, not only with the stop signal one second later.
task web dump_signal=SIGQUIT initial=5
start
at 1s supctl pause web
at 2s web exceeds memory limit 512M
at 2100ms expect web backoff "memory limit 512M; killed by SIGQUIT"
