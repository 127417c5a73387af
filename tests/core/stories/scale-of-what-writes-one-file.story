# A file belongs to one instance: what `--check` refuses as `replicas`, a scale refuses as well.
task web log=/srv/of/web.log
task db
start
at 1s supctl scale db=2 web=3
at 2s expect refused "/srv/of/web.log"
expect refused "would be the log of web:1 and of web:2; allowed: replicas = 1"
expect no web:2
expect no db:2
supctl scale db=2
at 3s expect db:2 running
# What is looked at by an errand may be gone when it comes back.
errands take 1s
supctl scale db=3
task web log=/srv/of/web.log
remove db
errands take 10ms
supctl reload
at 5s expect no db
# One that is no regular file may be shared.
task web log=/dev/null
supctl reload
at 6s supctl scale web=2
at 7s expect web:2 running
