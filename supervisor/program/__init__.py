"""The program `supervisor`: its command line, its start, and the checks before an upgrade."""
