# The leader ended while nobody looked, others of it live: they are stopped before anything is started, and not a
# moment later it goes on.
task web grace=2
web will leave 1 stubborn
start
at 1s crash
at 2s web exits 1
at 3s start
expect web stopping "others of the run are left"
expect forked web
at 5.05s expect web backoff "ended unseen"
at 6s
expect forked web
expect alive 1
