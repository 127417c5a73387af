# Helpers are forked first. With thousands of tasks, nothing would otherwise read their output until the last fork.
task a log=inherit
task b log=inherit
task c log=inherit
task d log=inherit
task e log=inherit
task f log=inherit
task g log=inherit
task h log=inherit
task i log=inherit
start
expect forked @scribe a b c d e f g h i
