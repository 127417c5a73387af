# A program keeps its slot over a crash, an upgrade and a restart. One that ends meanwhile is found out.
pool gpu 1
task web pool=gpu autostart=no
start
supctl pool gpu -- dump
after 100ms expect log "1 slot to dump"
crash
start
supctl start web
after 100ms expect web held "used by dump"
supctl upgrade
after 10s expect web held "used by dump"
SIGTERM
after 1s expect ended 0
start
supctl start web
after 100ms expect web held "used by dump"
crash
program dump ends
start
after 100ms expect web running
expect log "back from dump (pid"
