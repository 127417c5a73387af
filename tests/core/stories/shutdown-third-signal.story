# A second SIGTERM changes nothing and says so. The third one kills everything at once.
task web grace=60
web will ignore the stop
start
at 1s SIGTERM
at 2s SIGTERM
expect log "once more kills everything at once"
expect signals web SIGTERM
at 3s SIGINT
expect signals web SIGKILL
at 4s expect ended 0
