# A journal on a disk outlives the machine; what it says of processes does not, whatever is left of it.
task web
task db
start
at 1s db exits 1
at 2s writes tear at 60%
power fails on_disk
start
expect forked web db db web db
at 1s expect web running
expect alive 2
