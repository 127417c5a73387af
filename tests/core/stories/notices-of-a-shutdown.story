# The alert of a shutdown is sent at once and at its end, also shortly after the last message.
supervisor notify
task web give_up=2/60 initial=0 on_give_up=shutdown
task slow
slow will stop in 5s
start
errands take 2s
at 1s web exits 1
at 1.1s web exits 1
expect told "web failed"
at 3.2s expect told "web gave up, and 1 more"
at 5s expect alive 1
at 9s expect ended 69
