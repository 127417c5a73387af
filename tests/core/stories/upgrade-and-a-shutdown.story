# A client that requested an upgrade gets an answer, also if the supervisor ends before the rehearsal is over.
task web
errands take 1s
start
at 5s supctl upgrade
SIGTERM
expect refused "the supervisor is shutting down: SIGTERM"
at 7s expect ended 0
