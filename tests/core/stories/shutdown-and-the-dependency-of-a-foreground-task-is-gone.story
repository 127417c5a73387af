# What a foreground task needs indirectly is stopped at its end, also if the task in between is gone.
supervisor stop_grace=60
task disk
task db after=disk restart=never
task load kind=startup mode=foreground after=db
load:1 will exit 0 after 10s
db:1 will exit 0 after 2s
start
at 3s supctl shutdown
at 5s expect disk running "stays for load"
at 11s expect ended 0
