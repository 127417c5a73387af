# The time of a pause does not count for the watchdog, a probe, start_timeout or limits.runtime.
task web watchdog=5 health=2 failures=1 runtime=60 initial=5
task slow ready=notify start_timeout=10
start
at 4s supctl pause '*'
at 5s expect reply "slow: paused"
web answers http 503
expect slow starting "paused by root"
at 500s expect web running "paused by root"
expect slow starting "waits for READY=1"
supctl resume '*'
expect slow starting for 6s
expect signals nothing
at 501s web answers well
at 504s web says WATCHDOG=1
slow says READY=1
expect slow running
at 508s expect web running
web says WATCHDOG=1
at 512s web says WATCHDOG=1
at 516s web says WATCHDOG=1
at 520s expect web running
at 522s expect web backoff "watchdog: no WATCHDOG=1 for 5 s"
