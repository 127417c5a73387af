# A reload that raises limits.runtime applies to the existing run, also if its time was over while frozen.
task batch runtime=10
start
at 5s supctl freeze
at 15s
task batch runtime=20
supctl reload
at 16s supctl thaw
at 18s expect forked batch
expect batch running
at 23s expect forked batch
