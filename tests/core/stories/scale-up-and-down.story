# The highest numbers stop first, the others are not touched. A scale outlives a reload and a crash.
task web replicas=2
start
at 1s supctl scale web=4
at 2s
expect forked web web:2 web:3 web:4
expect reply "web:4: running"
supctl scale web=1
at 3s
expect no web:2
expect no web:4
expect web running
expect signals web:2 SIGTERM, web:3 SIGTERM, web:4 SIGTERM
supctl reload
at 4s expect alive 1
crash
start
at 5s expect alive 1
# until `replicas` changes in the config
task web replicas=3
supctl reload
at 6s expect alive 3
