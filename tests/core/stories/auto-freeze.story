# Too many failures freeze everything, before any of the tasks is forked again.
supervisor auto_freeze=5/60
task web initial=1 factor=1
task mail initial=1 factor=1
task db
start
at 1s web exits 1
mail exits 2
at 2.5s web exits 1
mail dies of SIGSEGV
at 4s expect web running
expect forked web mail db mail web mail web
web exits 1
expect web held "frozen by the supervisor since 2026-11-18T11:06:44.000Z: auto_freeze: 5 failures within 1m: web 3, mail 2"
expect log "error: freeze: auto_freeze: 5 failures within 1m: web 3, mail 2"
expect db running
# nothing is counted while frozen; the freeze outlives a crash; a thaw resets the count
mail exits 1
at 6s crash
start
expect mail held "auto_freeze"
supctl thaw
at 7s expect reply "web starts now"
web exits 1
mail exits 1
db exits 1
at 9s web exits 1
expect web backoff
mail exits 1
expect mail held "auto_freeze: 5 failures within 1m: web 2, mail 2, db 1"
