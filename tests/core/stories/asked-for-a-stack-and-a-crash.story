# The supervisor dies between the dump signal and the stop signal. The next one sends the stop signal, and the whole
# grace begins.
task web watchdog=5 dump_signal=SIGWINCH grace=10 initial=5
web will ignore the stop
start
at 5200ms expect signals web SIGWINCH
crash
at 5400ms start
expect signals web SIGTERM
expect web stopping for 10s
at 15s expect web stopping
expect signals nothing
at 15500ms expect web backoff "watchdog: no WATCHDOG=1 for 5 s; killed by SIGKILL"
