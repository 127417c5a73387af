# No task lives, but one waits for its restart. It restarts on time, although the config on the disk is broken.
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
