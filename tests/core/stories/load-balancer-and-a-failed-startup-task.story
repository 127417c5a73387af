# /ready is 503 as long as a wanted start-up task has failed, because all other tasks wait for it.
supervisor health_listen=127.0.0.1:9000
task migrate kind=startup
task web
migrate:1 will exit 3 after 1s
start
expect not balanced "starting: the start-up tasks have not finished"
at 2s expect ready
expect not balanced "start-up task migrate has not succeeded: exit 3"
migrate:1 will exit 3 after 1s
supctl start migrate
at 2.5s expect not balanced "start-up task migrate has not succeeded: exit 3"
at 4s expect not balanced "start-up task migrate has not succeeded: exit 3"
supctl stop migrate
at 5s expect balanced
expect web running
