# A reload gives a run more time in place, also one whose time was over while it was frozen.
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
