# A run that is held until its dependency is ready, and is stopped before: whoever waits is told.
task db start_timeout=60
task import kind=triggered after=db
db will hang 30s
start
at 1s supctl run import --wait
expect no reply
supctl stop import
at 2s expect import stopped
