task web
task api
task old
task moved grace=5
start
at 1s
task api command=v2
task moved grace=7
task new
remove old
supctl reload --dry-run
at 1.5s expect alive 4
expect reply "restarted: api (command)"
expect signals nothing
supctl reload
at 3s
expect reply "changed: moved (stop)"
expect signals old SIGTERM, api SIGTERM
expect forked web api old moved new api
expect no old
