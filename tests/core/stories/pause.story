# All processes of the run stop until it is resumed. Its state stays; who paused it is shown. A second pause changes
# nothing.
task web
task app requires=web
group all web app
start
at 1s supctl pause web as ann
at 2s expect reply "web: paused (pid 102)"
expect web running "paused by ann since 2026-11-18T11:06:41.000Z: supctl resume web"
expect log "warning: web: paused by ann"
expect app running
supctl pause web
expect reply "web: was paused already, by ann since"
at 100s supctl resume @all
expect reply "web: resumed (pid 102)"
expect reply "app: was not paused"
expect web running
expect log "info: web: resumed by root"
supctl pause 'a*'
at 101s expect reply "app: paused"
expect signals nothing
expect forked web app
