# /ready is 503 while the machine starts, is frozen or drains, and while an essential task is not well.
supervisor health_listen=127.0.0.1:9000 drain_delay=5
task migrate kind=startup
task web essential health=1 failures=1 initial=3
task app
migrate will exit 0 after 2s
start
at 1s expect not balanced "starting: the start-up tasks have not finished; web is essential: web is held"
at 4s expect balanced
app exits 1
expect balanced
supctl freeze
expect not balanced "frozen by root"
supctl thaw
expect balanced
web answers http 503
at 6s expect not balanced "web is essential: web is backoff"
at 15s expect balanced
SIGTERM
expect not balanced "shutting down: SIGTERM"
expect web running
