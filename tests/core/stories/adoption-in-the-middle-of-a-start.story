# Killed after the fork, before the go byte: the child runs nothing, and the next supervisor starts it anew.
task web
start
at 1s web will exit 0 after 1h
crash in 6 calls
web exits 1
at 1.2s
expect dead
expect alive 0
start
at 2s
expect alive 1
expect web running
