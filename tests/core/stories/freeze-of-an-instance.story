# Only a whole task can be frozen: a freeze of one instance is refused.
task web replicas=2
start
at 1s supctl freeze web:1
expect reply "only a task"
expect web running
