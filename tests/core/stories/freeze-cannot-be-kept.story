# A full disk does not weaken a freeze: it holds, and whoever asked is told that it would not outlive the machine.
task web
disk full
start
at 1s supctl freeze
at 2s
expect reply "warning: it holds now, but could not be kept for after a restart: No space left on device"
web exits 1
expect web held "frozen"
