# The failure that leads to the give-up is the fork itself.
task web give_up=1/60 on_give_up=freeze
task mail after=web
web will fail to fork: Resource temporarily unavailable
start
at 1s expect web failed "cannot start: fork: Resource temporarily unavailable"
expect mail held "on_give_up of web"
expect forked nothing
