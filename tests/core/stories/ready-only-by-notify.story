# READY=1 changes nothing without ready = "notify". A second READY=1 changes nothing, either.
task web ready=probe
web will answer refused
task db watchdog=5
start
at 1s web says READY=1
expect web starting "waits for a good answer to its command probe; refused ("
web answers well
at 2500ms expect web running
db says READY=1
expect db running
