# A notify message that a task sends while no supervisor runs is kept for ten seconds, for the next supervisor.
task web ready=notify start_timeout=60
task db ready=notify start_timeout=60
start
at 1s crash
at 2s web says READY=1
at 9s start
expect web running
expect db starting
at 10s crash
at 21s db says READY=1
start
expect db starting
expect forked web db
