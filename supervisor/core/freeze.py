"""Freeze: the switch that forbids every new process of a task (contract, section 5).

A freeze has a scope and a source. Any number of them may hold at once; a start needs none to match. The config's
freezes come and go with its lines; those of `supctl freeze`, and those that the supervisor sets by itself
(`on_give_up`, `auto_freeze`), with `supctl thaw` or their own end.
"""

from __future__ import annotations

from supervisor.core.immutable import immutable

EVERYTHING = ""

CONFIG, SUPCTL, ON_GIVE_UP, AUTO_FREEZE = "config", "supctl", "on_give_up", "auto_freeze"
KEPT = (SUPCTL, ON_GIVE_UP, AUTO_FREEZE)
"""The sources whose freezes outlive the supervisor, until a thaw; the config's come back with the config."""


@immutable
class Freeze:
    """One reason why nothing starts in a scope."""

    scope: str  # EVERYTHING, "@GROUP" or "TASK"
    source: str  # CONFIG, SUPCTL, ON_GIVE_UP or AUTO_FREEZE
    by: str  # who: "root", "FILE:LINE" of the config, or "the supervisor"
    since: str  # RFC 3339: a freeze outlives boots, so monotonic time would not do
    reason: str = ""
    until: str | None = None  # RFC 3339; None: until a thaw
    expires: float | None = None  # the same in monotonic seconds of this boot

    @property
    def says(self) -> str:
        """What `held (…)` shows: "frozen by root since 2026-11-21T14:02:11Z: bad deploy"."""
        return f"{self.scope} is frozen {self.whence}" if self.scope else f"frozen {self.whence}"

    @property
    def whence(self) -> str:
        """Who, since when, until when and why: "by root since 2026-11-21T14:02:11Z: bad deploy"."""
        until = f" until {self.until}" if self.until else ""
        return f"by {self.by} since {self.since}{until}" + (f": {self.reason}" if self.reason else "")

    @property
    def identity(self) -> tuple[str, str]:
        """A second freeze with the same identity replaces the first."""
        return self.scope, self.by if self.source == CONFIG else self.source

    def covers(self, task: str, groups: tuple[str, ...]) -> bool:
        """Whether it forbids a start of this task, which is in these groups."""
        if self.scope.startswith("@"):
            return self.scope[1:] in groups
        return self.scope in (EVERYTHING, task)
