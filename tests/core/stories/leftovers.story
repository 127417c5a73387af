# What has left the process group belongs to the run all the same: it gets the stop signal when the leader is gone, and
# the rest of the grace; a start waits for it, and who had to be killed is said.
task web grace=2
web will stray 2 stubborn
start
expect forked web
at 1s supctl stop web
at 1.05s expect signals web SIGTERM, web SIGTERM
at 2s supctl start web
expect web stopping "others of the run are left"
at 2.9s expect forked nothing
at 3.05s expect web running
expect forked web
expect log "killed what was left: kid (pid 101.0), kid (pid 101.1)"

# One that obeys: the stop is done as soon as it is gone, and says nothing of a kill.
web will stray 1
supctl restart web
after 1s
web will stray 1
supctl restart web
after 1s supctl stop web
after 100ms expect reply "web: stopped (killed by SIGTERM after 1.0 s)"
