# What is unwell is told once, not as failed too, and not again after each restart; running is no proof that it is well.
supervisor notify
task web health=40 failures=1 health_delay=30 initial=1
start
web answers http 503
at 31s expect message "web is unwell: http 503 (1 in a row)"
expect told "web is unwell"
at 35s expect forked web web
web answers http 503
at 60s expect told ""
at 68s expect forked web
web answers http 503
at 98s expect told ""
# now it is well
at 150s expect told "web recovered"
# what fails by itself is another word
at 160s web exits 1
at 161s expect told "web failed"
