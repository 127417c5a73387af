# A thaw resets the back-off: the first failure after it waits no longer than a first failure.
task web initial=1 max=100
web will exit 1 after 10ms
web will exit 1 after 10ms
web will exit 1 after 10ms
web will exit 1 after 10ms
start
at 1.5s expect web backoff for 1.525s
at 4s expect web backoff
supctl freeze
expect web held
supctl thaw
at 4.1s
expect web backoff for 910ms "exit 1"
