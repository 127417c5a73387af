# A run that is requested while frozen is held, not lost. It starts at the thaw with its arguments.
task import kind=triggered
start
expect import stopped "waits for a trigger"
at 1s supctl freeze
supctl run import --env DAY=1 -- full
after 10ms expect reply "import: held: frozen"
expect import stopped
import will exit 0 after 1s
at 5s supctl thaw
at 6s expect import running
at 7s expect import stopped "done"
expect forked import
