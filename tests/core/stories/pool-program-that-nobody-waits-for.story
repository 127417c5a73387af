# A client that hangs up leaves the line; a journal that cannot be written gives no slot.
pool gpu 1
start
journal full
supctl pool gpu -- dump
expect no reply
hang up
supctl pool
expect reply "gpu   1      0     -        -"
supctl pool gpu -- make
expect no reply
journal free
after 1s expect reply "executes make"
supctl pool
expect reply "make (pid"
