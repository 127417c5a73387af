# A give-up escalates once.
task web give_up=1/60 on_give_up=freeze
task mail give_up=1/60 on_give_up=stop-group
task db
group all mail db
start
at 1s web exits 1
mail exits 1
at 1.5s expect db stopped "stopped by on_give_up of mail"
supctl thaw
supctl start db
at 2s expect db running
crash
start
at 3s expect web failed
expect mail failed
expect db running
expect alive 1
supctl status
expect reply "vm-7: running"
