"""A storm: so many failed runs of so many tasks, so close together, that it is not one task that is broken.

`[supervisor] auto_freeze = { failures = 20, within = "1m" }` counts every failed run of every task. What counts is kept
by one life of the supervisor only: after a crash the count begins afresh, as it does at a thaw.
"""

from __future__ import annotations

from collections import Counter, deque

from supervisor.core.definition import AutoFreeze
from supervisor.core.duration import spoken

NAMED = 5
"""Tasks that a reason names, those with most failures first."""


class Storm:
    """The failures of the fleet, as far as the window reaches."""

    def __init__(self) -> None:
        self.policy: AutoFreeze | None = None
        self._failures: deque[tuple[float, str]] = deque()

    def failed(self, task: str, now: float) -> None:
        """A run of this task has failed."""
        if self.policy is None:
            return
        self._failures.append((now, task))
        while now - self._failures[0][0] > self.policy.within or len(self._failures) > self.policy.failures:
            self._failures.popleft()

    def reason(self) -> str:
        """Why everything has to be frozen, with the names; "" as long as it has not."""
        policy = self.policy
        if policy is None or len(self._failures) < policy.failures:
            return ""
        counts = Counter(task for _, task in self._failures).most_common()
        named = [f"{task} {count}" for task, count in counts[:NAMED]]
        rest = sum(count for _, count in counts[NAMED:])
        named += [f"others {rest}"] if rest else []
        many = f"{policy.failures} failures" if policy.failures > 1 else "1 failure"
        return f"auto_freeze: {many} within {spoken(policy.within)}: {', '.join(named)}"

    def clear(self) -> None:
        """Begins afresh."""
        self._failures.clear()
