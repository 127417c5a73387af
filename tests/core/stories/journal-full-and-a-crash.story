# A child that was forked while the journal could not be written ends with its supervisor. It has executed nothing.
task web initial=1 max=1
start
at 1s journal full
web exits 1
at 2s crash in 6 calls
at 3s expect dead
expect alive 0
journal free
start
at 6s expect web running
expect alive 1
