# /ready is 503 while an essential task is paused.
supervisor health_listen=127.0.0.1:9000
task web essential=yes
start
at 1s expect balanced
supctl pause web
at 2s expect not balanced "web is essential: web is paused"
supctl resume web
at 3s expect balanced
