# The dump signal ends the main process. The remaining processes get the stop signal at once, and one grace, not two.
task web runtime=5 dump_signal=SIGQUIT grace=2
web will ignore the stop, leave 1 stubborn
start
at 5500ms web exits 3
expect web stopping for 2s
at 7600ms expect web backoff "runtime: it has run for 5 s; exit 3"
