"""`python -m supervisor`: the same as the program `supervisor`."""

from supervisor.program.main import main

main()
