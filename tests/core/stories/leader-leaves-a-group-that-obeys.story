task web grace=10
web will exit 0 after 1s, leave 3
start
at 1.1s
expect signals web SIGTERM
expect web backoff "exit 0"
expect alive 0
