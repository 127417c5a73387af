"""Detect a storm: many failed runs of many tasks within a short time, so that more than one task must be broken.

`[supervisor] auto_freeze = { failures = 20, within = "1m" }` counts every failed run of every task. The count begins at
zero when the supervisor starts, also after a crash, and at a thaw.
"""

from __future__ import annotations

from collections import Counter, deque

from supervisor.core.definition import AutoFreeze
from supervisor.core.duration import spoken

NAMED = 5
"""The number of tasks that a reason names, those with most failures first."""


class Storm:
    """The failures of the fleet within the window."""

    def __init__(self) -> None:
        self.policy: AutoFreeze | None = None
        self._failures: deque[tuple[float, str]] = deque()

    def failed(self, task: str, now: float) -> None:
        """Count a failed run of this task."""
        if self.policy is None:
            return
        self._failures.append((now, task))
        while now - self._failures[0][0] > self.policy.within or len(self._failures) > self.policy.failures:
            self._failures.popleft()

    def reason(self) -> str:
        """Return why everything must be frozen, with the names; "" when there is no storm."""
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
        """Begin the count again."""
        self._failures.clear()
