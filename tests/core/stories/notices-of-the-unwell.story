# An alert when a task becomes unwell, and one when it recovers.
supervisor notify
task web health=1/left failures=2
start
web answers http 503
at 10s expect told "web is unwell"
at 100s expect told ""
web answers well
at 105s expect told "web recovered"
