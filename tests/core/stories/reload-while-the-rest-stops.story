# Redefined while the rest of a failed run is stopped: the new definition is tried, nothing is given up.
task web restart=never grace=5
web will exit 1 after 1s, leave 1 stubborn
start
at 2s
task web restart=never grace=5 command=v2
supctl reload
at 7s expect web running
