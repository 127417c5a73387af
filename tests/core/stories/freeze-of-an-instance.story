# A freeze holds for a task: one for an instance is refused, not widened.
task web replicas=2
start
at 1s supctl freeze web:1
expect reply "a freeze holds for a task"
expect web running
