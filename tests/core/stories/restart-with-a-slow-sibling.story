# Found by a seed: db waits for the slow instance of web before it stops. The quick instance must not start meanwhile.
task db
task web requires=db replicas=2 grace=5
web:2 will stop in 3s
start
at 1s
expect forked db web web:2
supctl restart db
at 2s
expect web:1 held "requires db, which is about to stop"
expect forked nothing
at 5s
expect forked db web web:2
expect web:1 running
