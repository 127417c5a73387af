# The answer to a probe that was sent before a pause does not count, neither during the pause nor after it.
task web health=10 failures=1
task app health=10 failures=1
web will answer timeout then well
app will answer timeout then well
start
at 1s supctl pause '*'
at 2s supctl resume web
at 5s supctl resume app
at 30s expect web running
expect app running
expect signals nothing
expect forked web app
