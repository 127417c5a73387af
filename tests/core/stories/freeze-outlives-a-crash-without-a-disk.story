# The journal alone keeps a freeze when the supervisor dies.
task web
disk full
start
at 1s supctl freeze
at 2s crash
start
web exits 1
at 3s expect web held "frozen by root"
