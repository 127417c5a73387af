# A task is held by a freeze and by a dependency: both reasons are shown, and the thaw alone does not start it.
task db autostart=no
task web after=db
start
at 1s supctl freeze web
expect web held "web is frozen by root"
expect web held "starts after db, which is stopped"
supctl thaw web
expect web held "starts after db, which is stopped"
supctl start db
at 2s
expect forked db web
