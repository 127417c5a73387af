# A start-up task of mode background that fails for good harms nobody, and a load balancer need not know.
supervisor health_listen=127.0.0.1:9000
task warm kind=startup mode=background
task web
warm:1 will exit 1 after 1s
start
at 1ms expect forked warm web
expect ready
at 2s expect warm failed "exit 1"
expect web running
expect balanced
# a shutdown waits for nobody
supctl shutdown
at 3s expect reply "every task is stopped"
expect ended 0
