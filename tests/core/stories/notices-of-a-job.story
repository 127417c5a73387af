# A triggered task that failed recovers with its next success.
supervisor notify
task import kind=triggered
import will exit 1 after 1s
import will exit 0 after 1s
import will exit 0 after 1s
start
supctl run import
at 2s expect told "import failed"
supctl run import
at 60s expect told "import recovered"
supctl run import
at 120s expect told ""
