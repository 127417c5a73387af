# A group whose members are scaled to nothing is still a group.
task web
group etl web
start
at 1s supctl scale web=0
at 2s supctl start @etl
expect reply ""
supctl start @elt
expect refused "no group '@elt'; did you mean '@etl'?"
