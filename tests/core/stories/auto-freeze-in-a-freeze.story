# Failures while everything is frozen cause no second freeze and no alert.
supervisor notify auto_freeze=2/60
task web
task mail
start
at 1s supctl freeze
expect told "everything is frozen"
at 2s web exits 1
mail exits 1
at 40s expect message "web failed"
expect told "web failed, and 1 more"
supctl thaw
at 41s expect web running
expect mail running
