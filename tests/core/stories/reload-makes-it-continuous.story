# A triggered task that a reload makes continuous is kept running from then on.
task job kind=triggered
start
at 1s expect job stopped
task job
supctl reload
at 2s expect job running
