task import kind=triggered
import will exit 3 after 2s
start
at 1s supctl run import --wait
at 2s expect no reply
supctl run import
after 10ms expect refused "was skipped: run import:1/1@e was still on"
at 4s
expect import stopped "exit 3"
