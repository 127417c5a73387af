# A freeze replaces a pending restart. The thaw starts the task at once and resets its count of failures.
task web initial=10 restart=always
web will exit 1 after 1s
start
at 2s
expect web backoff for 9.001s "exit 1"
supctl freeze --reason deploy as ann
expect web held "frozen by ann since"
expect web held "deploy"
after 20ms expect reply "frozen: everything"
at 60s expect forked web
supctl thaw
at 61s
expect forked web
expect web running
expect reply "web starts now"
