# While frozen, a reload restarts nothing. The new definition takes effect at the thaw.
task web
start
at 1s supctl freeze
task web command=v2
supctl reload
at 5s
expect web running
expect signals nothing
supctl thaw
at 6s
expect signals web SIGTERM
expect web running
expect forked web web
