# A foreground task is stopped early enough to have its grace, and those of what it needs, within stop_grace.
supervisor stop_grace=60
task db grace=5
task load kind=startup mode=foreground requires=db grace=10
start
at 1s SIGTERM
expect why load "At 2026-11-18T11:07:26.000Z, or at a second request to shut down, it is stopped."
at 45s expect signals nothing
at 47s expect signals load SIGTERM, db SIGTERM
expect ended 0
