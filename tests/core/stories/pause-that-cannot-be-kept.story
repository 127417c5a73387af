# A pause that cannot be recorded is refused: the next supervisor would not know of it.
task web
start
at 1s journal full
supctl pause web
at 3s expect reply "web: resumed meanwhile by the supervisor: cannot write the journal: No space left on device"
expect web running
journal free
at 5s supctl pause web
at 6s expect web running "paused by root"
