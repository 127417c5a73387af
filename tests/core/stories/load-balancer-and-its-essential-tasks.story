# /ready needs one ready and healthy instance of each essential task. A task that is not essential does not
# matter, nor does a freeze of one task.
supervisor health_listen=127.0.0.1:9000
task web essential replicas=2
task db essential health=1/left failures=1
task app
start
at 5s expect balanced
supctl freeze app
expect balanced
supctl stop web:1
at 6s expect balanced
supctl stop web:2
at 7s expect not balanced "web is essential: web:1 is stopped; web:2 is stopped"
supctl start web:2
at 8s expect balanced
supctl scale web=0
at 9s expect not balanced "web is essential: it has no instance"
supctl scale web=1
at 10s expect balanced
db answers http 503
at 15s expect db running "unwell: http 503"
expect not balanced "db is essential: db is unwell"
db answers well
at 20s expect balanced
