# Nothing lives, but a task waits for its restart: it gets that in time, whatever is in the config meanwhile.
task web initial=5 max=5
start
at 1s web exits 1
at 2s crash
broken conf:1: no such key
at 3s start
expect web backoff for 3s
at 6.1s expect web running
supctl stop web
at 7s crash
start
expect ended 78
