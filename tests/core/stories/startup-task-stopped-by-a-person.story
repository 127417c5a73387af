# Whoever stops a start-up task lets the others start.
task migrate kind=startup
task web
start
at 1s supctl stop migrate
at 2s
expect migrate stopped "killed by SIGTERM"
expect web running
