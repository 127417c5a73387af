# A requirement that succeeded stays fulfilled while it runs again. It is not fulfilled if that run fails.
task import kind=triggered
task web requires=import
start
at 1s expect web held "import, which has not run yet"
supctl run import
at 2s import exits 0
at 3s expect web running
supctl run import
at 4s expect web running
import exits 1
at 5s expect web held "has not succeeded (exit 1)"
