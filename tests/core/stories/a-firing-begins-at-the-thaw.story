# A firing that waits for the end of a freeze begins at once then, although nothing else happens.
task backup kind=triggered every=60
start
backup:1 will exit 0 after 1s
backup:1 will exit 0 after 1s
at 70s supctl freeze backup --for 200s
at 212s supctl thaw backup
at 213s expect forked backup backup
backup:1 will exit 0 after 1s
at 220s supctl freeze backup --for 200s
at 421s expect forked backup
