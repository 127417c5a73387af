# limits.runtime does not count the time of pauses.
task web runtime=10 initial=5
start
at 4s supctl pause web
at 104s supctl resume web
at 105s supctl pause web
at 205s supctl resume web
at 209s expect web running
at 210.2s expect web backoff "runtime: it has run for 10 s"
