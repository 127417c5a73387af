# One alert when a row of failures begins, and one when the task has run for reset_after; none for each crash.
supervisor notify
task web initial=1 factor=1 reset_after=10
start
at 1s web exits 1
expect told "web failed"
at 3s web exits 1
at 5s web exits 1
expect told ""
# recovered at 16 s; half a minute after the last message is 31 s
at 30s expect told ""
at 32s expect told "web recovered"
# a person who stops a failed task gets no further alert
at 100s web exits 1
expect told "web failed"
at 102s supctl stop web
at 200s expect told ""
supctl restart web
at 300s expect told ""
