# A reload while the remaining processes of a failed run stop: the new definition is tried, the task does not give up.
task web restart=never grace=5
web will exit 1 after 1s, leave 1 stubborn
start
at 2s
task web restart=never grace=5 command=v2
supctl reload
at 7s expect web running
