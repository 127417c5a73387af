supervisor notify
task web
group etl web
start
at 1s supctl freeze --reason "bad deploy"
expect told "everything is frozen"
at 60s supctl thaw
expect told "everything is thawed"
group etl web freeze
at 100s touched
at 101s expect told "@etl is frozen"
crash
start
# a freeze that is found at a takeover is not alerted again
at 200s expect told ""
