"""Losses of output: the scribe leaves its sums in the runtime directory, the host tells that there are new ones.

Here they become events, a line of the log, and a notice. So the parent is woken only when something was lost, and
never waits for the scribe. What was told is in the journal: what was lost while no supervisor ran is told by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core import losses

if TYPE_CHECKING:
    from supervisor.core.losses import Loss
    from supervisor.parent import Parent


class Losses:
    """What the tasks of one supervisor have lost."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._losses = losses.Losses(parent.host.moment)

    def recall(self, facts: dict[str, Any]) -> None:
        """Begins. `facts`: the journal; without one, what there is was told by a supervisor that has ended in order."""
        told = facts.get("fleet losses", {}).get("losses", {}) if facts else self._parent.host.losses()
        self._losses.recall(told)
        self.look()

    def look(self) -> None:
        """There are new sums."""
        parent, found = self._parent, self._parent.host.losses()
        if found:
            parent.memory.facts.append({"fleet": "losses", "losses": found})
        for news in self._losses.see(found):
            instance = parent.fleet.instances.get(news.key)
            if instance is None:  # removed from the config; its last words found no room
                continue
            parent.announce.dropped(instance, news)
            if news.first:
                parent.notices.dropped(instance, news.says)

    def of(self, key: str) -> Loss | None:
        """All that an instance has lost: `lost_output` of the verbs."""
        return self._losses.of(key)

    def note(self, key: str) -> str:
        """The words for the `why` column."""
        return self._losses.note(key, self._parent.host.now())
