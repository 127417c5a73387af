# SIGTERM stops dependents first, each task with its grace. Then the supervisor ends with 0.
task db
task web requires=db
web will stop in 2s
start
at 1s SIGTERM
expect web stopping "the supervisor is shutting down"
expect db running
supctl start db
expect no reply
at 4s
expect ended 0
expect alive 0
expect signals web SIGTERM, db SIGTERM
