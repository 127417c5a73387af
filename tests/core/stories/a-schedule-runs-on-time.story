# The story begins at 14:26:40 by the wall clock (UTC). Each firing becomes one run.
task tick kind=triggered schedule=*_*_*_*_*
tick will exit 0 after 2s
tick will exit 0 after 2s
start
at 10s expect tick stopped
at 21s expect tick running
at 81s expect tick running
