# A config that was saved just before it was watched is read again, too.
task web
group etl web
start
at 1s
group etl web freeze
watched
at 2s web exits 1
expect web held "@etl is frozen by conf:@etl"
