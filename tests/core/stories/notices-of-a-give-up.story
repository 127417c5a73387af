# The most serious alert is the subject. Alerts within the same half minute are sent together.
supervisor notify
task web give_up=2/60 initial=1 on_give_up=freeze
task mail
start
at 1s web exits 1
expect told "web failed"
at 3s web exits 1
mail exits 1
at 30s expect told ""
at 32s expect told "web gave up, and 2 more"
# a task that gave up also recovers, once a person has started it
supctl thaw
supctl start web
at 100s expect told "everything is thawed, and 2 more"
