# RESTARTS counts the restarts by the supervisor since a person last started the task. A restart by hand does not count.
task web initial=1 factor=1
start
at 1s web exits 1
at 3s supctl status
expect reply "web   running  103  1.0 s   1"
supctl restart web
at 4s supctl status
expect reply "running  104  1.0 s   0"
web exits 1
at 6s supctl status
expect reply "running  105"
expect reply "1.0 s   1"
