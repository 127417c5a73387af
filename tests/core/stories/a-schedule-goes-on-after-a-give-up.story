# A task that is given up runs again at its next firing. Nothing else starts it.
task tick kind=triggered schedule=*/30_*_*_*_*_* restart=on-failure give_up=2/60 initial=1
tick will exit 1 after 100ms
tick will exit 1 after 100ms
start
at 25s expect tick failed
at 51s expect tick running
