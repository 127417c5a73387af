"""Define the freeze: it forbids every new process of a task (contract, section 5).

A freeze has a scope and a source. Several freezes may hold at the same time. A task starts only when none matches it.

- A freeze of the config holds as long as its line is in the config.
- `supctl freeze` and the supervisor itself (`on_give_up`, `auto_freeze`) set freezes, too. These end by `supctl thaw`
  or at their own end.

A hold is a milder one: `supctl schedule --hold`. It only forbids that a schedule (or another trigger that is computed)
starts a run. Runs by hand go on.
"""

from __future__ import annotations

from supervisor.core.immutable import immutable

EVERYTHING = ""

CONFIG, SUPCTL, ON_GIVE_UP, AUTO_FREEZE, HOLD = "config", "supctl", "on_give_up", "auto_freeze", "hold"
KEPT = (SUPCTL, ON_GIVE_UP, AUTO_FREEZE)
"""The sources whose freezes outlive the supervisor, until a thaw. The config sets its own freezes again."""


@immutable
class Freeze:
    """One reason why nothing starts in a scope; or, with the source HOLD, why no schedule starts a run there."""

    scope: str  # EVERYTHING, "@GROUP" or "TASK"
    source: str  # CONFIG, SUPCTL, ON_GIVE_UP, AUTO_FREEZE or HOLD
    by: str  # the author: "root", "FILE:LINE" of the config, or "the supervisor"
    since: str  # RFC 3339: a freeze outlives boots, so monotonic time would not do
    reason: str = ""
    until: str | None = None  # RFC 3339; None: until a thaw
    expires: float | None = None  # the same in monotonic seconds of this boot

    @property
    def says(self) -> str:
        """Return the text of `held (…)`: "frozen by root since 2026-11-21T14:02:11Z: bad deploy"."""
        if self.source == HOLD:
            return f"{f'the schedule of {self.scope} is' if self.scope else 'all schedules are'} held {self.whence}"
        return f"{self.scope} is frozen {self.whence}" if self.scope else f"frozen {self.whence}"

    @property
    def whence(self) -> str:
        """Return by whom, since when, until when and why: "by root since 2026-11-21T14:02:11Z: bad deploy"."""
        until = f" until {self.until}" if self.until else ""
        return f"by {self.by} since {self.since}{until}" + (f": {self.reason}" if self.reason else "")

    @property
    def identity(self) -> tuple[str, str]:
        """A second freeze with the same identity replaces the first."""
        return self.scope, self.by if self.source == CONFIG else self.source

    def covers(self, task: str, groups: tuple[str, ...]) -> bool:
        """Return whether it forbids a start of this task, which is in these groups."""
        if self.scope.startswith("@"):
            return self.scope[1:] in groups
        return self.scope in (EVERYTHING, task)
