# The main process ended while no supervisor ran, but other processes of the run live. The next supervisor stops
descriptors lost
# them before it starts the task again, and does not wait longer than that.
task web grace=2
web will leave 1 stubborn
start
at 1s crash
at 2s web exits 1
at 3s start
expect web stopping "other processes of the run are alive"
expect forked web
at 5.05s expect web backoff "ended unseen"
at 6s
expect forked web
expect alive 1
