"""Runs: their processes, members, signals, notify sockets, FIFOs and use of resources."""
