"""`python -m supervisor`: the same as the program `supervisor`."""

from supervisor.app import main

main()
