"""What people have to be told of (`notify_command`): which changes matter, and the words for them.

Per instance there are rows of trouble. Each word is told once in a row: `failed`; `unwell`, by its probe or its
watchdog; and `gave-up`. What was unwell and is stopped for it has not failed as well. A row ends when it is well again,
`recovered`: it has lived for `reset_after` and for its watchdog, and its probe has had a good answer; or it has ended
well. What a person stops meanwhile is forgotten without a word.

`dropped-output`, when what it writes finds no room (`core.losses`). Of the whole: `frozen`, `thawed`, and a `shutdown`
that the supervisor decided itself.

The rows are not kept over the death of a supervisor, but seen again from the counters that are.
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
    from supervisor.core.fleet import Change, Fleet

FAILED, GAVE_UP, UNWELL, RECOVERED = "failed", "gave-up", "unwell", "recovered"
FROZEN, THAWED, SHUTDOWN = "frozen", "thawed", "shutdown"
DROPPED = "dropped-output"

_SAYS = {
    GAVE_UP: "{} gave up",
    SHUTDOWN: "{} shuts down",
    FROZEN: "{} is frozen",
    FAILED: "{} failed",
    UNWELL: "{} is unwell",
    DROPPED: "{} lost output",
    THAWED: "{} is thawed",
    RECOVERED: "{} recovered",
}
"""Every kind of notice, the gravest first."""

Notice = dict[str, Any]
"""As JSON has it: `id`, `at`, `what`, `name`, `task`, `why`."""


class Ailing:
    """Who has been in trouble and is not well again."""

    def __init__(self) -> None:
        self._rows: dict[str, set[str]] = {}  # by instance: the words that were told of it

    def see(self, changes: Iterable[Change]) -> list[tuple[str, Instance, str]]:
        """What has to be told of these changes: kind, instance, why."""
        return [told for change in changes if change.new and (told := self._see(change.old, change.new))]

    def _see(self, old: Instance, new: Instance) -> tuple[str, Instance, str] | None:
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
        if new.failures == 1 and not health.blamed(old):
            return self._once(FAILED, new, new.last.reason)
        return None

    def _once(self, what: str, i: Instance, why: str) -> tuple[str, Instance, str] | None:
        row = self._rows.setdefault(i.key, set())
        if what in row:
            return None
        row.add(what)
        return what, i, why

    def recovered(self, fleet: Fleet, now: float) -> list[Instance]:
        """Who is well again; forgets those whom a person has stopped."""
        self._rows = {
            key: row for key, row in self._rows.items() if key in fleet.instances and not _dropped(fleet.instances[key])
        }
        well = [i for key in self._rows if (moment := _well_at(i := fleet.instances[key])) and moment <= now]
        for instance in well:
            del self._rows[instance.key]
        return well

    def next_deadline(self, fleet: Fleet) -> float | None:
        """When the next one will have run for long enough."""
        there = (fleet.instances[key] for key in self._rows if key in fleet.instances)
        return min((moment for i in there if (moment := _well_at(i)) is not None), default=None)

    def recall(self, fleet: Fleet, now: float) -> None:
        """After a takeover: who has been in trouble lately and is not well yet. Of that everything has been told."""
        for i in fleet.instances.values():
            moment = _well_at(i)
            if i.wanted and not i.task.helper and (i.failures or health.complaint(i)) and (not moment or moment > now):
                self._rows[i.key] = {FAILED, UNWELL}


def _dropped(i: Instance) -> bool:
    """Whether a person does not want it any more; a job between its runs is not meant."""
    return not i.wanted and i.by != ITS_OWN_END


def _well_at(i: Instance) -> float | None:
    """When it is well, if nothing comes in between; None: as yet it does not look like that."""
    if i.run is None or i.state is not State.RUNNING or i.task.kind is not Kind.CONTINUOUS or health.complaint(i):
        return None
    if i.task.health and not i.run.health.well:  # not asked yet: to run is no proof
        return None
    return i.since + max(i.task.backoff.reset_after, i.run.health.period)


def message(supervisor: str, notices: list[Notice], suppressed: dict[str, int]) -> dict[str, Any]:
    """What the command gets: one object, with a subject and a text that can be sent as they are."""
    order = list(_SAYS)
    gravest = min(notices, key=lambda notice: order.index(notice["what"]))
    more = f", and {len(notices) - 1} more" if len(notices) > 1 else ""
    lines = [f"{notice['at']} {_headline(notice)}: {notice['why']}" for notice in notices]
    if suppressed:
        counted = ", ".join(f"{count} {what}" for what, count in suppressed.items())
        lines.append(f"{sum(suppressed.values())} earlier ones were not told: {counted}")
    return {
        "v": 1,
        "supervisor": supervisor,
        "subject": f"{supervisor}: {_headline(gravest)}{more}",
        "text": "\n".join(lines) + "\n",
        "notices": notices,
        "suppressed": suppressed,
    }


def count(notices: Iterable[Notice]) -> Counter[str]:
    """How many of each kind."""
    return Counter(notice["what"] for notice in notices)


def _headline(notice: Notice) -> str:
    return _SAYS[notice["what"]].format(notice["name"])
