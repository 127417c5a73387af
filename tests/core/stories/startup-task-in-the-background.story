# Nobody waits for a start-up task of mode background, neither the other tasks nor READY. Only a task that names it waits.
task warm kind=startup mode=background
task migrate kind=startup
task web
task report after=warm
migrate:1 will exit 0 after 1s
warm:1 will exit 0 after 5s
start
at 500ms expect forked warm migrate
expect why warm "No other task waits for it (mode = "background")"
expect why migrate "All other tasks wait for its success (mode = "blocking")"
expect web held "start-up task migrate is running"
expect not ready
at 2s expect forked web
expect ready
expect warm running
expect report held "starts after warm, which is running"
at 6s expect warm stopped "done"
expect forked report
