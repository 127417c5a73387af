# A new definition is tried at once. A change that does not concern the process does not shorten the back-off.
task web initial=100
web will exit 1 after 10ms
start
at 1s
task web initial=100 grace=5
supctl reload
at 2s expect web backoff
task web initial=100 grace=5 command=v2
supctl reload
expect no reply
at 3s
expect reply "restarted: web (command)"
expect web running
