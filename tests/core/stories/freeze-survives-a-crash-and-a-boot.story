task web
start
at 1s supctl freeze web --reason "hands off"
at 2s crash
start
web exits 1
expect web held "hands off"
SIGTERM
at 3s expect ended 0
start
expect web held "hands off"
expect forked web
supctl thaw web
at 4s expect forked web
