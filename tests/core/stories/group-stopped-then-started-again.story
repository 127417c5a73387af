# A start asked while the rest of a failed run is being stopped: no back-off, a person has asked.
task web grace=3 initial=10
web will exit 1 after 1s, leave 1 stubborn
start
at 2s supctl start web
expect no reply
at 4.1s
expect web running
expect forked web web
expect reply "web: running"
