# Before Linux 6.15 only the parent of a process learns its exit status. An unknown end counts as a failure.
old kernel
task web
task once restart=on-failure
start
at 1s crash
start
at 2s web exits 0
expect web backoff "ended unseen, exit status unknown"
once exits 0
expect once backoff "ended unseen, exit status unknown"
