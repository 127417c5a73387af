# Alerts are sent at least once: the next supervisor sends those whose delivery is unknown.
supervisor notify
task web give_up=1/60
start
errands take 2s
at 1s web exits 1
expect told "web gave up"
at 2s crash
at 3s start
expect told "web gave up"
at 6s crash
at 7s start
at 100s expect told ""
