# A start-up task may require a continuous task. That one starts before it, and everything else after it.
task prepare kind=startup
task disk
task db requires=disk ready=notify
task migrate kind=startup after=db
task web
prepare:1 will exit 0 after 1s
db:1 will get ready after 2s
migrate:1 will exit 0 after 1s
start
expect forked prepare
expect db held "start-up task prepare is starting; requires disk, which is held"
expect migrate held "starts after db, which is held"
expect web held "start-up task prepare is starting; start-up task migrate is held"
expect not ready
at 2s
expect forked disk db
expect db starting
expect web held "start-up task migrate is held"
expect not ready
at 4s
expect forked migrate
expect not ready
at 5s
expect forked web
expect web running
expect ready
# the end of the database does not repeat the migration
db:1 will get ready after 1s
at 6s db exits 1
at 10s expect db running
expect migrate stopped "done"
expect forked db
supctl shutdown
at 11s expect ended 0
