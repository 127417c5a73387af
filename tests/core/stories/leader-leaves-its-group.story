# The main process ends, others of its group live. They get the stop signal, the grace and SIGKILL; then the task
# restarts.
task web grace=3
web will exit 1 after 1s, leave 2 stubborn
start
at 1.1s
expect web stopping for 2.9015s "its main process ended (exit 1), other processes of the run are alive"
expect signals web SIGTERM
expect forked web
at 3.9s expect signals nothing
at 4.01s
expect signals web SIGKILL
expect web backoff "exit 1"
expect alive 0
at 4.2s
expect forked web
expect web running
