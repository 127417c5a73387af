# A higher max_parallel starts no run by itself: each run is for a firing, or by hand.
task tick kind=triggered schedule=*/30_*_*_*_*_*
start
at 21s expect tick:1 running
task tick kind=triggered schedule=*/30_*_*_*_*_* max_parallel=3 overlap=queue
supctl reload
after 1s expect tick:2 stopped
at 51s expect tick:2 running
