task web grace=10
web will ignore the stop
start
at 1s remove web
supctl reload
at 2s supctl start web
at 12s
expect no web
expect forked web
expect alive 0
supctl start web
expect refused "no task 'web'"
