# While frozen, an unwell task is shown but not stopped, as it could not start again. It is restarted at the thaw.
task web health=1 failures=2
start
at 1s supctl freeze --reason "bad deploy"
web answers http 503
at 10s expect web running "unwell: http 503"
expect web running "left alone while frozen"
expect forked web
supctl thaw
expect web stopping "unwell: http 503"
at 15s expect web running
expect forked web
