# A start-up task with `retry` is started so many times, then it has failed.
task migrate kind=startup restart=on-failure retry=3 initial=1 reset_after=1e9 give_up=3/1e9
task web
migrate will exit 1 after 1s
migrate will exit 1 after 20s
migrate will exit 1 after 1s
start
at 27s expect migrate failed "gave up after attempt 3 of 3: exit 1"
expect web held
