# With successes = 2 one good answer makes a task neither healthy nor ready. It is not restarted while it recovers.
task web health=1 failures=2 successes=2
start
at 5s supctl freeze
web answers http 503
at 10s expect web running "unwell"
web answers well
supctl status web
at 30s supctl thaw
expect web running
expect forked web
