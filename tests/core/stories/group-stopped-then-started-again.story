# A start is requested while the remaining processes of a failed run stop. There is no back-off, as a person requested
# it.
task web grace=3 initial=10
web will exit 1 after 1s, leave 1 stubborn
start
at 2s supctl start web
expect no reply
at 4.1s
expect web running
expect forked web web
expect reply "web: running"
