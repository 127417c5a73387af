# After an orderly stop only the holders of slots are left in the journal, also while the disk is full.
pool gpu 1
task web
start
supctl pool gpu -- dump
after 100ms expect web running
journal full
supctl shutdown
after 5s expect ended 0
expect forked web
journal free
start
after 2s expect web running
supctl pool
expect reply "dump (pid"
expect forked web
