# A freeze of a task with replicas = 0 is in force when the task is scaled up, by whatever name it was frozen.
task web
task worker
start
at 1s supctl scale web=0
at 2s supctl freeze w*
after 50ms expect reply "frozen: web, worker"
at 3s supctl scale web=1
expect web held "web is frozen by root"
at 4s supctl thaw web:*
after 50ms expect web running
at 5s supctl scale web=0
at 6s supctl freeze web
after 50ms expect reply "frozen: web;"
at 7s supctl scale web=1
expect web held "web is frozen by root"
at 8s supctl scale web=0
at 9s supctl thaw we*
after 50ms expect reply "thawed: web"
at 10s supctl start we*
expect refused "web has no instance"
at 11s supctl scale web=1
after 50ms expect web running
expect worker running
