# A run ends while no supervisor runs. The next supervisor counts the failure, gives up and escalates.
descriptors lost
task web give_up=1/60 on_give_up=freeze
task mail initial=0
start
at 1s crash
web exits 1
mail exits 1
start
at 2s expect web failed "gave up: ended unseen"
expect mail held "on_give_up of web"
