# Two instances cannot write to one log file: `--check` refuses such `replicas`, and so does `scale`.
task web log=/srv/of/web.log
task db
start
at 1s supctl scale db=2 web=3
at 2s expect refused "/srv/of/web.log"
expect refused "the log of web:1 and of web:2 would be the same file"
expect no web:2
expect no db:2
supctl scale db=2
at 3s expect db:2 running
# The task may be removed while an errand checks the scale.
errands take 1s
supctl scale db=3
task web log=/srv/of/web.log
remove db
errands take 10ms
supctl reload
at 5s expect no db
# Instances may share a path that is not a regular file.
task web log=/dev/null
supctl reload
at 6s supctl scale web=2
at 7s expect web:2 running
