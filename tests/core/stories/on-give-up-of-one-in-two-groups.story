# stop-group stops every group of the task, each member once.
task web on_give_up=stop-group give_up=1/60
task mail
task db
task app
group front web mail
group back web db mail
start
at 1s web exits 1
at 2s expect web failed
expect mail stopped "on_give_up of web"
expect db stopped "on_give_up of web"
expect app running
expect signals mail SIGTERM, db SIGTERM
