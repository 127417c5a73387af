# A requirement that goes together with the word that named it takes nobody down.
task db
task web requires=db
start
at 1s
task web
remove db
supctl reload
at 2s
expect web running
expect no db
expect signals db SIGTERM
# and one that comes is waited for by no one who already runs
task db
task web requires=db
supctl reload
at 3s
expect web running
expect db running
expect signals nothing
