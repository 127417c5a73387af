# A process that left the process group still belongs to the run. It gets the stop signal when the main process is gone,
# and the rest of the grace. A start waits for it, and the answer names what had to be killed.
task web grace=2
web will stray 2 stubborn
start
expect forked web
at 1s supctl stop web
at 1.05s expect signals web SIGTERM, web SIGTERM
at 2s supctl start web
expect web stopping "other processes of the run are alive"
at 2.9s expect forked nothing
at 3.05s expect web running
expect forked web
expect log "killed the remaining processes: kid (pid 102.0), kid (pid 102.1)"

# A process that obeys: the stop is done as soon as it has ended, and no kill is reported.
web will stray 1
supctl restart web
after 1s
web will stray 1
supctl restart web
after 1s supctl stop web
after 100ms expect reply "web: stopped (killed by SIGTERM after 1.0 s)"
