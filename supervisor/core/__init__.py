"""The decisions: pure functions and values. No I/O, no clock, no randomness, no logging.

Read `states`, then `lifecycle` (one instance), then `gate` and `fleet` (all of them).
"""
