# A stop sends the signal and then continues the processes. The grace is the usual one, also if the signal is ignored.
task web grace=5
task db grace=5
start
web will stop politely
db will ignore the stop
supctl restart web --no-wait
supctl restart db --no-wait
at 1s expect web running
supctl pause '*'
at 2s expect db running "paused by root"
supctl stop '*'
expect web stopping "stop requested by root"
at 3s expect web stopped
expect db stopping for 4s
at 8s expect db stopped
supctl start db
at 9s expect db running
supctl pause db
at 10s supctl restart db
at 11s expect db running
expect why db "has pid"
