# The journal or the disk may have an older state. The newer one is used, for a freeze and for a thaw.
task web
start
supctl freeze
at 1s journal full
supctl thaw
at 2s expect web running
crash
journal free
start
at 3s expect web running
disk full
supctl freeze web
crash
disk free
start
web exits 1
expect web held "frozen by root"
