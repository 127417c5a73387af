# Start-up tasks run before all others, in their own order. READY is reported when they have finished.
task migrate kind=startup
task seed kind=startup after=migrate
task web
migrate:1 will exit 0 after 2s
seed:1 will exit 0 after 1s
start
expect forked migrate
expect web held "start-up task migrate is starting; start-up task seed is held"
expect seed held "starts after migrate, which is starting"
expect not ready
at 2.5s
expect migrate stopped "done"
expect seed running
expect web held "start-up task seed is running"
expect not ready
at 4s
expect forked seed web
expect web running
expect ready
