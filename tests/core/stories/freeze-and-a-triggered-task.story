# A run that is asked for while frozen is held, not lost, and starts at the thaw with what was added to it.
task import kind=triggered
start
expect import stopped "waits for a trigger"
at 1s supctl freeze
supctl run import --env DAY=1 -- full
expect reply "import: held: frozen"
import will exit 0 after 1s
at 5s supctl thaw
at 6s expect import running
at 7s expect import stopped "done"
expect forked import
