# A probe that was under way during a stall does not count, and is sent again.
task web health=10 failures=1
web will answer timeout then well
start
at 0.1s stall 20s all
at 60s expect web running
expect forked web
