# A shutdown waits for the end of a start-up task of mode foreground. What that needs stays with it, all others stop at once.
supervisor stop_grace=60
task disk grace=5
task db requires=disk grace=5
task load kind=startup mode=foreground after=db grace=10
task web requires=db
load:1 will exit 0 after 20s
start
at 1s expect forked disk db load web
expect why load "No other task waits for it, but a shutdown does (mode = "foreground")"
at 5s supctl shutdown
expect log "info: waits for the end of load (mode = "foreground"), for 40 s at most; a second request stops it at once"
expect signals web SIGTERM
at 6s expect web held "shutting down"
expect load running "the shutdown waits for its end"
expect db running "stays for load: the shutdown waits for the end of that"
expect disk running "stays for load: the shutdown waits for the end of that"
at 19s expect no reply
expect signals nothing
at 21s expect signals db SIGTERM, disk SIGTERM
expect reply "every task is stopped"
expect ended 0
