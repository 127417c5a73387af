# `supctl start` of a start-up task waits for its end and reports it.
task migrate kind=startup autostart=no
migrate will exit 0 after 5s
migrate will exit 7 after 5s
start
at 1s supctl start migrate
at 3s expect no reply
at 7s expect reply "migrate: done"
supctl start migrate
at 9s expect no reply
at 13s expect reply "migrate: failed: exit 7"
