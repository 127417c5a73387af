"""Decide which changes cause an alert for people (`notify_command`), and write the text of it.

Each instance may have a row of troubles. Each of these alerts is sent once in a row:

- `failed`;
- `unwell`: its probe or its watchdog says so. A run that is stopped for this causes no `failed`;
- `gave-up`.

The row ends with `recovered`, when the instance is well again:

- it has lived for `reset_after` and for its watchdog, and its probe has had a good answer;
- or it has ended well.

If a person stops the instance meanwhile, its row ends without an alert.

A triggered task that is overdue (`core.last_runs`) has an `overdue` alert, and `recovered` at its end. Its row is not
that of an instance: only a success ends it.

`dropped-output` says that there was no room for the output of an instance (`core.losses`). The alerts `frozen` and
`thawed` are about all tasks. So is `shutdown`, when the supervisor itself decided it.

The rows do not survive a supervisor. The next one restores them from the counters, which do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supervisor.core import health
from supervisor.core.definition import Kind
from supervisor.core.escalation import gave_up
from supervisor.core.instance import ITS_OWN_END, Instance
from supervisor.core.states import State

if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet
    from supervisor.core.roster import Change

FAILED, GAVE_UP, UNWELL, RECOVERED = "failed", "gave-up", "unwell", "recovered"
FROZEN, THAWED, SHUTDOWN = "frozen", "thawed", "shutdown"
DROPPED, OVERDUE = "dropped-output", "overdue"

_SAYS = {
    GAVE_UP: "{} gave up",
    SHUTDOWN: "{} shuts down",
    FROZEN: "{} is frozen",
    FAILED: "{} failed",
    UNWELL: "{} is unwell",
    OVERDUE: "{} is overdue",
    DROPPED: "{} lost output",
    THAWED: "{} is thawed",
    RECOVERED: "{} recovered",
}
"""Every kind of alert, the most serious first."""

Notice = dict[str, Any]
"""As JSON has it: `id`, `at`, `what`, `name`, `task`, `why`."""


class AlertDetector:
    """The instances that have been in trouble and are not well again."""

    def __init__(self) -> None:
        self._rows: dict[str, set[str]] = {}  # by instance: the kinds of alerts that were sent for it

    def observe(self, changes: Iterable[Change]) -> list[tuple[str, Instance, str]]:
        """Return the alerts for these changes: kind, instance, why."""
        return [told for change in changes if change.new and (told := self._alert_for(change.old, change.new))]

    def _alert_for(self, old: Instance, new: Instance) -> tuple[str, Instance, str] | None:
        if new.task.helper:
            return None
        if new.state is State.FAILED and old.state is not State.FAILED:
            self._rows.setdefault(new.key, set()).add(GAVE_UP)
            return GAVE_UP, new, gave_up(new).removeprefix("gave up: ")
        if (why := health.complaint(new)) and not health.complaint(old):
            return self._once(UNWELL, new, why)
        if new.last is None or new.last is old.last:
            return None
        if new.last.success and new.key in self._rows:
            del self._rows[new.key]
            return RECOVERED, new, new.last.reason
        if new.failures == 1 and not health.blamed(old) and not _tried_again(old):
            return self._once(FAILED, new, new.last.reason)
        return None

    def _once(self, what: str, i: Instance, why: str) -> tuple[str, Instance, str] | None:
        row = self._rows.setdefault(i.key, set())
        if what in row:
            return None
        row.add(what)
        return what, i, why

    def forget(self, fleet: Fleet, keys: Iterable[str]) -> None:
        """Forget those of these instances that a person has stopped or removed."""
        for key in self._rows.keys() & set(keys):
            if key not in fleet.instances or _dropped(fleet.instances[key]):
                del self._rows[key]

    def recovered(self, fleet: Fleet, now: float) -> list[Instance]:
        """Return the instances that are well again."""
        self.forget(fleet, self._rows)
        well = [i for key in self._rows if (moment := _well_at(i := fleet.instances[key])) and moment <= now]
        for instance in well:
            del self._rows[instance.key]
        return well

    def next_deadline(self, fleet: Fleet) -> float | None:
        """Return when the next instance will have run for long enough."""
        there = (fleet.instances[key] for key in self._rows if key in fleet.instances)
        return min((moment for i in there if (moment := _well_at(i)) is not None), default=None)

    def restore(self, fleet: Fleet, now: float) -> None:
        """Restore, after a takeover, the instances that are not well yet. Their alerts have been sent already."""
        for i in fleet.instances.values():
            moment = _well_at(i)
            if i.wanted and not i.task.helper and (i.failures or health.complaint(i)) and (not moment or moment > now):
                self._rows[i.key] = {FAILED, UNWELL}


def _tried_again(old: Instance) -> bool:
    """Return whether the run that failed is one of a firing that has attempts left."""
    order = old.run.order if old.run else None
    return bool(order and order.firing and old.task.retry and order.attempt < old.task.retry.attempts)


def _dropped(i: Instance) -> bool:
    """Return whether a person does not want the instance any more; False for a job between its runs."""
    return not i.wanted and i.by != ITS_OWN_END


def _well_at(i: Instance) -> float | None:
    """Return when the instance will be well, if nothing else happens; None: that is not foreseeable."""
    if i.run is None or i.state is not State.RUNNING or i.task.kind is not Kind.CONTINUOUS or health.complaint(i):
        return None
    if i.task.health and not i.run.health.well:  # no good answer yet: a running process is no proof
        return None
    return i.since + max(i.task.backoff.reset_after, i.run.health.period)


def message(supervisor: str, notices: list[Notice], suppressed: dict[str, int]) -> dict[str, Any]:
    """Return the object for the command, with a subject and a text that it can send unchanged."""
    order = list(_SAYS)
    gravest = min(notices, key=lambda notice: order.index(notice["what"]))
    more = f", and {len(notices) - 1} more" if len(notices) > 1 else ""
    lines = [f"{notice['at']} {_headline(notice)}: {notice['why']}" for notice in notices]
    if suppressed:
        counted = ", ".join(f"{count} {what}" for what, count in suppressed.items())
        lines.append(f"{sum(suppressed.values())} earlier alerts were not sent: {counted}")
    return {
        "v": 1,
        "supervisor": supervisor,
        "subject": f"{supervisor}: {_headline(gravest)}{more}",
        "text": "\n".join(lines) + "\n",
        "notices": notices,
        "suppressed": suppressed,
    }


def is_alert(found: object) -> bool:
    """Return whether this object from a journal is an alert that can be sent."""
    texts = ("at", "what", "name", "why")
    return isinstance(found, dict) and all(isinstance(found.get(key), str) for key in texts) and found["what"] in _SAYS


def count(notices: Iterable[Notice]) -> Counter[str]:
    """Return how many alerts of each kind there are."""
    return Counter(notice["what"] for notice in notices)


def _headline(notice: Notice) -> str:
    return _SAYS[notice["what"]].format(notice["name"])
