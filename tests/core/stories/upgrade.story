# After a re-exec the process is the same, so a run that ends meanwhile is still its child, and its exit status is
# known.
task web
task db restart=on-failure
task mail ready=notify
start
at 5s supctl upgrade
at 5011ms web exits 3
db exits 0
mail says READY=1
at 5.1s expect log "upgraded by root"
expect web backoff "exit 3"
expect db stopped
expect mail running
at 6s expect forked web db mail web
expect alive 2
