# A scale of a task that is no longer in the config at the next start is dropped.
task web
task api
start
at 1s supctl scale web=2
at 2s crash
remove web
start
at 3s task web
supctl reload
at 4s expect alive 2
