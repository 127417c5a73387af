# Told once when a row of failures begins, and once when it has run for reset_after; not each time it crashes.
supervisor notify
task web initial=1 factor=1 reset_after=10
start
at 1s web exits 1
expect told "web failed"
at 3s web exits 1
at 5s web exits 1
expect told ""
# well again at 16 s; the half minute since the last message ends at 31 s
at 30s expect told ""
at 32s expect told "web recovered"
# a person who stops what has failed needs to hear no more of it
at 100s web exits 1
expect told "web failed"
at 102s supctl stop web
at 200s expect told ""
supctl restart web
at 300s expect told ""
