# After a long run the next back-off is the first one again.
task web initial=1 reset_after=10
web will exit 1 after 1s
web will exit 1 after 1s
web will exit 1 after 20s
start
at 1.5s expect web backoff for 501ms
at 3.5s expect web backoff for 1.502s
at 25.5s expect web backoff for 503ms
