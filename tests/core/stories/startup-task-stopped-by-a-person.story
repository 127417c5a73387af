# When a person stops a start-up task, the others start.
task migrate kind=startup
task web
start
at 1s supctl stop migrate
at 2s
expect migrate stopped "killed by SIGTERM"
expect web running
