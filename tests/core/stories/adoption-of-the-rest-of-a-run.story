# The leader ended while nobody looked, others of its group live: they are stopped before anything is started.
task web grace=2
web will leave 1 stubborn
start
at 1s crash
at 2s web exits 1
at 3s start
expect web stopping "others of the run are left"
expect forked web
at 6.05s expect web backoff "ended unseen"
at 7s
expect forked web
expect alive 1
