"""The sample of the compute resource consolidation pattern, in Python: several workers of one role on one machine.

There, a role starts a list of worker functions, hands each a cancellation token, and cancels it when the role is
stopped. Here the supervisor is the role, each worker is a process of its own, and `Stop` is the token:

    [task.worker-1]
    python = "worker_role:task_1"
"""

from __future__ import annotations

from supervisor import Stop

INTERVAL = 30
"""Seconds between two looks for work."""


def task_1(stop: Stop) -> None:
    """The first worker of the sample."""
    _work("worker task 1", stop)


def task_2(stop: Stop) -> None:
    """The second worker of the sample."""
    _work("worker task 2", stop)


def _work(name: str, stop: Stop) -> None:
    """Wakes up, works, sleeps; `wait` returns True as soon as a stop is asked for, however long it would still be."""
    while True:
        print(f"doing {name} work", flush=True)
        if stop.wait(INTERVAL):
            break
    print(f"{name} ends: a stop was asked for", flush=True)
