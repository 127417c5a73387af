# The leader ends by itself and leaves what is in no group of its own: the restart comes after the end of that.
task web grace=2 to=main
web will die of SIGSEGV after 1s, leave 1, stray 1 stubborn
start
at 1.01s expect web stopping "its main process ended (killed by SIGSEGV), others of the run are left"
expect signals web SIGTERM
at 2.9s expect web stopping
expect forked web
at 3.05s expect web backoff "killed by SIGSEGV"
expect why web "killed what was left: kid (pid 101.0)"
at 4s expect web running
expect forked web
