"""The firings of one task that are due and wait, each kind in the order in which they became due."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import merge

from supervisor.core.firing import Firing
from supervisor.core.immutable import immutable, replace


@immutable
class Waiting:
    """A firing that is due."""

    firing: Firing
    missed: bool  # `catch_up` decides, not `overlap`
    times: int  # due times that its run is for: its own, and those of missed firings before it
    number: int = 0  # rises in the order in which they became due
    key: str = ""  # the instance that it is taken for, while the store is asked
    why: str = ""  # what it waits for


class Queue:
    """The firings of one task that are due, each kind by id and in the order in which they became due."""

    def __init__(self) -> None:
        self.begun: dict[str, Waiting] = {}  # they had a run; never many
        self.on_time = OrderedDict[str, Waiting]()  # a dict is slow to find its first item after many were removed
        self.by_hand = OrderedDict[str, Waiting]()  # on time as well, and no hold concerns them
        self.missed = OrderedDict[str, Waiting]()
        self.taken: dict[str, Waiting] = {}  # of all kinds: the store is asked
        self.why = ""  # what those that are on time wait for
        self.why_missed = ""
        self.why_by_hand = ""

    def __len__(self) -> int:
        return len(self.begun) + len(self.on_time) + len(self.by_hand) + len(self.missed) + len(self.taken)

    def add(self, waiting: Waiting) -> None:
        """Add a firing, or return one that was taken to its place."""
        if waiting.firing.begun:
            self.begun[waiting.firing.id] = waiting
            return
        on_time = self.on_time if waiting.firing.computed else self.by_hand
        of_its_kind = self.missed if waiting.missed else on_time
        last = next(reversed(of_its_kind.values()), None)
        of_its_kind[waiting.firing.id] = waiting
        if last and last.number > waiting.number:
            for one in sorted(of_its_kind.values(), key=_number):
                of_its_kind.move_to_end(one.firing.id)

    def next(self, *, new: bool, missed: bool, held: bool) -> Waiting | None:
        """Return the first firing that waits: of those that had a run, or with `new` of those that had none.

        The latter are with `missed` also those that were missed, and with `held` only those by hand.
        """
        if self.begun or not new:
            return next(iter(self.begun.values()), None)
        kinds = [self.by_hand, *[self.on_time] * (not held), *[self.missed] * (missed and not held)]
        firsts = [next(iter(kind.values())) for kind in kinds if kind]
        return min(firsts, key=_number, default=None)

    def take(self, identity: str, key: str) -> None:
        """Note the instance for which a firing is taken."""
        waiting = self.remove(identity)
        if waiting is not None:
            self.taken[identity] = replace(waiting, key=key)

    def remove(self, identity: str) -> Waiting | None:
        """Remove a firing, and return it."""
        kinds: tuple[dict[str, Waiting], ...] = (self.begun, self.on_time, self.by_hand, self.missed, self.taken)
        return next((found for kind in kinds if (found := kind.pop(identity, None))), None)

    def shown(self) -> Iterator[Waiting]:
        """Yield all of them in order, each with what it waits for."""
        kinds = (self.begun, self.on_time, self.by_hand, self.missed, self.taken)
        for one in merge(*(kind.values() for kind in kinds), key=_number):
            yield replace(one, why=self._why(one))

    def find(self, identity: str) -> Waiting | None:
        """Return one of them, with what it waits for."""
        kinds: tuple[dict[str, Waiting], ...] = (self.begun, self.on_time, self.by_hand, self.missed, self.taken)
        found = next((kind[identity] for kind in kinds if identity in kind), None)
        return replace(found, why=self._why(found)) if found else None

    def _why(self, one: Waiting) -> str:
        if one.key:
            return "@timekeeper writes it down"
        if one.missed:
            return self.why_missed
        return self.why_by_hand if one.firing.id in self.by_hand else self.why


def _number(waiting: Waiting) -> int:
    return waiting.number
