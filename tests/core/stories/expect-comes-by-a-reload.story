# A task that gets `expect` by a reload has until then from that moment, unless a run has succeeded before.
supervisor notify
task old kind=triggered
task new kind=triggered
start
old:1 will exit 0 after 1s
at 1s supctl run old --wait
at 100s
task old kind=triggered expect=150
task new kind=triggered expect=150
SIGHUP
at 160s expect told "old is overdue"
at 249s expect told ""
at 251s expect told "new is overdue"
task old kind=triggered
task new kind=triggered expect=500
SIGHUP
at 260s expect told ""
at 300s expect told "old recovered, and 1 more"
