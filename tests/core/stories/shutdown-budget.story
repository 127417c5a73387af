# A shutdown has stop_grace in all. Then everything that is left is killed, without regard to grace and order.
supervisor stop_grace=5
task db grace=60
task web requires=db grace=60
web will ignore the stop
start
at 1s supctl shutdown
at 5.9s
expect signals web SIGTERM
expect no reply
at 6.1s
expect signals db SIGKILL, web SIGKILL
expect ended 0
expect reply "every task is stopped, the supervisor ends"
