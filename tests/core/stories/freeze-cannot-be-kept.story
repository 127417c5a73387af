# A freeze that cannot be saved on a full disk is in force. The client is warned that it does not outlive a boot.
task web
disk full
start
at 1s supctl freeze
at 2s
expect reply "warning: the freeze is in force, but could not be saved, so a restart may lose it: No space left on device"
web exits 1
expect web held "frozen"
