# A pause is refused without a process and during a stop, each with its reason. The other tasks are paused.
task web
task import kind=triggered
task db
start
db will ignore the stop
at 1s supctl restart db
at 3s supctl stop db --no-wait
at 4s supctl pause '*'
at 4500ms expect reply "import: stopped: it has no process"
expect reply "web: paused"
expect reply "db: it is being stopped"
supctl resume import
expect reply "import: stopped: it has no process"
supctl restart web --no-wait
at 5s expect web running
web will hang 5s
supctl restart web --no-wait
at 6s supctl pause web
expect reply "web: its program is not running yet"
supctl pause nobody
expect refused "no task 'nobody'"
