# A stall does not make a crash loop look like a long run: reset_after is not reached.
task web initial=1 reset_after=10
web will exit 1 after 1s
web will exit 1 after 3s
web will exit 1 after 1s
start
at 3s stall 20s all
at 25.1s expect web backoff
expect why web "restart 3 in a row"
