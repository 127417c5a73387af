# The spawner keeps the pidfd of each run. So the kernel tells the next supervisor how a run ended while none ran.
task once restart=on-failure
task web
task rest
rest will leave 1
start
at 1s crash
at 2s once exits 0
web dies of SIGSEGV
rest exits 3
at 5s start
expect once stopped
expect why once "exit 0"
expect web backoff "killed by SIGSEGV"
at 6s expect rest running
