# With restart = false an unwell task is shown as unwell, and nothing else happens.
task web health=1/left failures=2
start
web answers http 503
at 10s expect web running "unwell: http 503"
expect why web "It is unwell and left alone (health.restart = false)."
supctl status web
after 1s expect reply "unwell"
web answers well
after 3s expect web running
expect log "info: web: well again"
expect forked web
