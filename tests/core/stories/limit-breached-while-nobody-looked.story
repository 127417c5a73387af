# @scribe goes on while no supervisor runs; the next supervisor reads the breach it recorded. A breach of an earlier run
# is ignored.
task web initial=5 grace=2
start
at 1s web exceeds memory limit 512M
at 20s expect web running
crash
at 21s start
at 22s expect web running
crash
at 25s web exceeds processes limit 9
at 30s start
at 31s expect web backoff "processes limit 9"
