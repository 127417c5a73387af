# `supctl run` begins one run, in an instance that is idle. A run beyond max_parallel is skipped.
task import kind=triggered max_parallel=2
start
supctl run import
after 10ms expect import:1 running
expect import:2 stopped
supctl run import
after 10ms expect import:2 running
supctl run import
after 10ms expect refused "run import:1/1@e was still on"
import:1 exits 0
supctl start import:1
expect refused "`supctl run import` asks for a run"
expect import:1 stopped
supctl run import:1
after 10ms expect import:1 running
