# A process that survives SIGKILL is killed again at growing intervals. No stop waits for it for ever.
task db
task web requires=db grace=1
web will ignore the stop, survive 5 kills
start
at 1s supctl stop db web
at 2.1s
expect web stopping "sent SIGKILL"
expect db running
# after the second SIGKILL its dependencies no longer wait for it
at 3.1s
expect db stopped
expect web stopping for 1.9s "sent SIGKILL 2 times"
at 10s expect reply "web: still alive after SIGKILL"
expect signals web SIGTERM, web SIGKILL, web SIGKILL, db SIGTERM, web SIGKILL, web SIGKILL
at 40s
expect web stopped
expect alive 0
