# A probe each second makes the task ready. Dependents wait for the good answer, not for the process.
task web ready=probe
task app requires=web
web will answer refused then refused then well
start
at 1s expect web starting "refused ("
expect app held "requires web, which is starting"
at 4s expect web running
expect app running
