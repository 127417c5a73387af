# Two tasks give up; both are shown. A freeze does not prevent the stop of a group.
task web give_up=1/60 on_give_up=stop-group
task mail give_up=1/60 on_give_up=stop-group
task db restart=on-failure initial=10
group all web mail db
start
at 1s db exits 1
expect db backoff
supctl freeze
web exits 1
mail exits 3
at 2s expect web failed "exit 1"
expect mail stopped "stopped by on_give_up of web"
expect db stopped "stopped by on_give_up of web"
