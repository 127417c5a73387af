# A config with an error changes nothing, and the error is reported.
task web
start
at 1s broken conf:1: no such key
supctl reload
at 2s
expect refused "the config has errors, nothing was changed:"
SIGHUP
at 3s expect web running
supctl status
expect reply "the config has errors"
task web
supctl reload
at 4s supctl status
expect reply "web   running"
