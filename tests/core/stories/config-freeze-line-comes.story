# `freeze = true` is in force as soon as the file is saved, without a reload. Other changes wait for the reload.
task web
group etl web
start
at 1s
group etl web freeze
task web command=v2
touched
at 2s web exits 1
expect web held "@etl is frozen by conf:@etl"
supctl freeze
supctl thaw
expect web held "@etl is frozen by conf:@etl"
