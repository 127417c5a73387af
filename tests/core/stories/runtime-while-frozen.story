# While frozen, a run beyond limits.runtime goes on. At the thaw it is stopped.
task batch runtime=10
start
at 5s supctl freeze
at 30s expect batch running "runtime: it has run for 10 s; left alone while frozen"
supctl thaw
at 31s expect forked batch batch
expect batch running
