# No change of the clock makes a task overdue while the supervisor lives.
supervisor notify
task backup kind=triggered expect=100
start
at 20s wall jumps 86400
at 50s supctl status
expect reply "ok"
at 51s wall jumps -172800
at 98s supctl status
expect reply "ok"
at 101s supctl status
expect reply "no success for 100s"
expect told "backup is overdue"
