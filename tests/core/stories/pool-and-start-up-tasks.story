# Start-up tasks share a lock, and the others wait until all of them are done.
pool db 1
task one kind=startup pool=db
task two kind=startup pool=db
task web
one will exit 0 after 1s
two will exit 0 after 1s
start
after 100ms expect one running
expect two held "waits for pool db: 1 of 1 slot is used by one"
expect not ready
after 1s expect not ready
expect two running
after 1s expect ready
expect forked one two web
