# A freeze of the task `xetl` is not one of the group `etl`.
task xetl
task import
group etl import
start
at 1s supctl freeze xetl
import exits 1
xetl exits 1
at 2s
expect import running
expect xetl held "xetl is frozen by root"
supctl thaw
supctl freeze @etl
import exits 1
expect import held "@etl is frozen by root"
