# The gravest is the subject; what comes within the same half minute comes together.
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
# what was given up recovers as well, when a person has started it
supctl thaw
supctl start web
at 100s expect told "everything is thawed, and 2 more"
