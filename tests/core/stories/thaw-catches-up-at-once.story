# What was missed in a freeze starts at the thaw, also if nothing else changes then.
task tick kind=triggered schedule=*_*_*_*_*
tick will exit 0 after 2s
start
at 10s supctl freeze tick
at 30s expect forked nothing
supctl thaw tick
at 31s expect forked tick
