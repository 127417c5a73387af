# @prober dies, is stopped, or has no room. A missing answer does not count as a bad answer.
task web health=1 failures=1
task db ready=probe
db will answer lost then lost then well
web will answer lost
start
at 30s expect web running
expect db running
expect forked web db
