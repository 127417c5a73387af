# Who asked for an upgrade gets an answer also when the supervisor ends before the new program is rehearsed.
task web
errands take 1s
start
at 5s supctl upgrade
SIGTERM
expect refused "the supervisor is shutting down: SIGTERM"
at 7s expect ended 0
