"""Make all decisions, as pure functions and values: no I/O, no clock, no randomness, no logging.

Read `states`, then `lifecycle` (one instance), then `gate` and `fleet` (all of them).
"""
