# A journal on a disk outlives a boot. Its records of processes are not used.
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
