# The main process ends and leaves processes outside of its group. The restart waits until they have ended.
task web grace=2 to=main
web will die of SIGSEGV after 1s, leave 1, stray 1 stubborn
start
at 1.01s expect web stopping "its main process ended (killed by SIGSEGV), other processes of the run are alive"
expect signals web SIGTERM
at 2.9s expect web stopping
expect forked web
at 3.05s expect web backoff "killed by SIGSEGV"
expect why web "killed the remaining processes: kid (pid 102.0)"
at 4s expect web running
expect forked web
