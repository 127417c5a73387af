# A scale up while old instances still stop: each starts again when its old run is over, never beside it.
task web replicas=2 grace=5
web:2 will ignore the stop
start
at 1s supctl scale web=1
at 2s supctl scale web=2
expect web:2 stopping "removed from the config by root"
at 5.9s expect alive 2
at 6.5s
expect web:2 running
expect forked web web:2 web:2
