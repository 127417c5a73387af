# The supervisor dies after the fork and before the go byte. The child executes nothing; the next supervisor starts the
# task again.
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
