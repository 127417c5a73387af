# The scribe lives on while there is no supervisor; the next one reads what it has said. What is said of an earlier run is old.
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
