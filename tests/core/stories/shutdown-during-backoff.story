task web initial=60
task hung grace=5
hung will ignore the stop
web will exit 1 after 10ms
start
at 1s SIGTERM
expect web backoff
at 2s supctl start web
expect reply "web: held: the supervisor is shutting down: SIGTERM"
at 7s expect ended 0
expect forked web hung
