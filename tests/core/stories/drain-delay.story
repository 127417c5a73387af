# /ready fails first, the first stop signal follows 5 s later: the load balancer has time to react. Nothing starts
# meanwhile.
supervisor drain_delay=5
task web health=1
task app requires=web
task db
start
at 1s SIGTERM
at 5s expect web running
expect signals nothing
db dies of SIGSEGV
after 500ms expect db held "shutting down"
at 6500ms expect ended 0
expect forked web db app
