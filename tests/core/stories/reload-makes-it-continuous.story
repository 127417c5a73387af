# A reload makes a triggered task continuous: from then on it is kept running.
task job kind=triggered
start
at 1s expect job stopped
task job
supctl reload
at 2s expect job running
