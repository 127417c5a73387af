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
# what is found at a takeover is no news
at 200s expect told ""
