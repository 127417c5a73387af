# After a stall, SIGKILL comes when the run has had its whole grace. The same holds for stop_grace.
supervisor stop_grace=30
task web grace=5
task db grace=5
web will ignore the stop
db will stop in 4s
start
at 1s supctl stop --no-wait web
at 2s stall 20s all
at 25.9s expect web stopping
at 26.1s expect web stopped
at 27s SIGTERM
at 28s stall 60s all
at 89s expect db stopping
at 91.1s expect ended 0
expect signals web SIGTERM, web SIGKILL, db SIGTERM, @scribe SIGTERM
