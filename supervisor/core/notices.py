"""What people have to be told of (`notify_command`): which changes matter, and the words for them.

Per instance: `failed`, once, when a row of failures begins; `gave-up`; `unwell`, by its probe or its watchdog; and
`recovered`, when it has run for `reset_after` again and is well, or has ended well. What a person stops meanwhile is
forgotten without a word. `dropped-output`, when what it writes finds no room (`core.losses`). Of the whole: `frozen`,
`thawed`, and a `shutdown` that the supervisor decided itself.

Who is ailing is not kept over the death of a supervisor, but seen again from the counters that are.
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
    """Who has failed and is not well again."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def see(self, changes: Iterable[Change]) -> list[tuple[str, Instance, str]]:
        """What has to be told of these changes: kind, instance, why."""
        return [told for change in changes if change.new and (told := self._see(change.old, change.new))]

    def _see(self, old: Instance, new: Instance) -> tuple[str, Instance, str] | None:
        if new.task.helper:
            return None
        if new.state is State.FAILED and old.state is not State.FAILED:
            self._keys[new.key] = None
            return GAVE_UP, new, gave_up(new).removeprefix("gave up: ")
        if health.unwell(new) and not health.unwell(old):
            self._keys[new.key] = None
            return UNWELL, new, health.unwell(new)
        if new.last is None or new.last is old.last:
            return None
        if new.failures == 1:
            self._keys[new.key] = None
            return FAILED, new, new.last.reason
        if new.last.success and self._keys.pop(new.key, self) is None:
            return RECOVERED, new, new.last.reason
        return None

    def recovered(self, fleet: Fleet, now: float) -> list[Instance]:
        """Who has run for long enough; forgets those whom a person has stopped."""
        self._keys = {key: None for key in self._keys if key in fleet.instances and not _dropped(fleet.instances[key])}
        well = [i for key in self._keys if (moment := _well_at(i := fleet.instances[key])) and moment <= now]
        for instance in well:
            del self._keys[instance.key]
        return well

    def next_deadline(self, fleet: Fleet) -> float | None:
        """When the next one will have run for long enough."""
        there = (fleet.instances[key] for key in self._keys if key in fleet.instances)
        return min((moment for i in there if (moment := _well_at(i)) is not None), default=None)

    def recall(self, fleet: Fleet, now: float) -> None:
        """After a takeover: who has failed lately and has not run for long enough yet."""
        for i in fleet.instances.values():
            moment = _well_at(i)
            if i.wanted and not i.task.helper and (i.failures or health.unwell(i)) and (moment is None or moment > now):
                self._keys[i.key] = None


def _dropped(i: Instance) -> bool:
    """Whether a person does not want it any more; a job between its runs is not meant."""
    return not i.wanted and i.by != ITS_OWN_END


def _well_at(i: Instance) -> float | None:
    if i.state is not State.RUNNING or i.task.kind is not Kind.CONTINUOUS or health.unwell(i):
        return None
    return i.since + i.task.backoff.reset_after


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
