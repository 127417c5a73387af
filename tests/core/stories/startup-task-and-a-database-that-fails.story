# A task that a start-up task requires fails at first. READY is reported only after the start-up task has succeeded.
supervisor health_listen=127.0.0.1:9000
task db initial=2 ready=notify
task migrate kind=startup requires=db
task web
db:1 will exit 1 after 1s
start
at 2s expect db backoff
expect migrate held "requires db, which waits for its restart"
expect not ready
expect not balanced "starting: the start-up tasks have not finished"
db:1 will get ready after 1s
migrate:1 will ignore the stop
at 5s expect db running
expect migrate running
# it stops with the database and starts again with it
db:1 exits 1
expect migrate stopping "requires db"
db:1 will get ready after 1s
at 25s expect web held "start-up task migrate is running"
expect forked db db migrate db migrate
