# Being unwell counts for give_up like any other failure.
task web health=1 failures=1 initial=0.1 give_up=2/60
web will answer http 500
web will answer http 500
start
at 30s expect web failed "unwell: http 500 (1 in a row)"
