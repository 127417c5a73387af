"""Share the slots of pools: what has slots, what waits for them, and whose turn it is.

A *claim* is the name of anything that can have slots of one pool: the key of an instance, the id of a firing, or the
id of a program that is not a task (`supctl pool NAME -- COMMAND`).

The rule is first come, first served. A claim that waits has a place in the line of its pool. Its turn comes when there
is room for it and for all claims before it. So no claim overtakes another one, and a claim for two slots is not starved
by claims for one.

A place whose turn has come keeps its slots free until it is taken or given up. So nothing else reserves slots: a
firing that is taken, or an instance that waits for its fork, just keeps its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, takewhile

from supervisor.core.definition import Pool, PoolShare

SHOWN = 3
"""The most claims that a reason names."""


class Entry:
    """A claim that has slots, or stands in the line for them."""

    __slots__ = ("claim", "due", "lasting", "name", "pool", "slots")

    def __init__(self, claim: str, share: PoolShare, name: str, *, lasting: bool, due: float | None = None) -> None:
        """Describe it.

        Args:
            claim: what it is known by.
            share: the pool, and the number of slots.
            name: what people know it by.
            lasting: whether it does not end by itself: a continuous task, or a program that is not a task.
            due: of a firing, in seconds since 1970.
        """
        self.claim, self.name, self.lasting, self.due = claim, name, lasting, due
        self.pool, self.slots = share.name, share.slots


class Pools:
    """The pools of one supervisor."""

    def __init__(self) -> None:
        """Begin without a pool."""
        self.slots: dict[str, int] = {}  # by pool, as the config says
        self._used: dict[str, int] = {}  # slots in use by pool, also of a pool that the config has no more
        self._holding: dict[str, dict[str, Entry]] = {}  # by pool and claim
        self._lines: dict[str, dict[Entry, None]] = {}  # by pool, the first to come first
        self._waiting: dict[str, Entry] = {}  # of those in a line, by claim
        self._pool_of: dict[str, str] = {}  # of those that have slots, by claim
        self.turns_to_check: set[str] = set()  # pools in which it may be the turn of others now
        self.turn_changes = 0  # how often that has been so

    def define(self, pools: Mapping[str, Pool]) -> None:
        """Take over the pools of a config. Fewer slots take none away from anything that has them."""
        self.slots = {name: pool.slots for name, pool in pools.items()}
        for pool in self._lines:
            self._turns_change(pool)

    # -- the line -----------------------------------------------------------------------------------------------------

    def join(self, claim: str, share: PoolShare, name: str, *, lasting: bool, due: float | None = None) -> None:
        """Let a claim wait at the end of the line. One that waits for the same already keeps its place."""
        entry = self._waiting.get(claim)
        if entry and (entry.pool, entry.slots) == (share.name, share.slots):
            return
        self.leave(claim)
        self._waiting[claim] = entry = Entry(claim, share, name, lasting=lasting, due=due)
        self._lines.setdefault(share.name, {})[entry] = None

    def leave(self, claim: str) -> None:
        """Let a claim wait no more."""
        if entry := self._remove(claim):
            self._turns_change(entry.pool)

    def _turns_change(self, pool: str) -> None:
        self.turns_to_check.add(pool)
        self.turn_changes += 1

    def _remove(self, claim: str) -> Entry | None:
        entry = self._waiting.pop(claim, None)
        if entry:
            line = self._lines[entry.pool]
            del line[entry]
            if not line:
                del self._lines[entry.pool]
        return entry

    def pass_on(self, claim: str, other: str, name: str) -> None:
        """Give the place of a claim to another one: that of a firing to the instance that runs it."""
        self.leave(other)
        if entry := self._waiting.pop(claim, None):
            entry.claim, entry.name = other, name
            self._waiting[other] = entry

    def in_turn(self, pool: str) -> Iterator[str]:
        """Yield the claims whose turn has come, in order."""
        free = self.free(pool)
        for entry in self._lines.get(pool, ()):
            free -= entry.slots
            if free < 0:
                return
            yield entry.claim

    def pop_turns(self) -> list[str]:
        """Return the claims whose turn has come in the pools in which that may have changed since the last call."""
        changed, self.turns_to_check = self.turns_to_check, set()
        return [claim for pool in sorted(changed) for claim in self.in_turn(pool)]

    # -- the slots ----------------------------------------------------------------------------------------------------

    def take(self, claim: str, share: PoolShare, name: str, *, lasting: bool) -> None:
        """Count the slots of a claim as used, also where there are not so many."""
        self.give_back(claim)
        old, entry = self._remove(claim), Entry(claim, share, name, lasting=lasting)
        if old and (old.pool, old.slots) != (entry.pool, entry.slots):  # else it is nobody else's turn by this
            self._turns_change(old.pool)
        self._holding.setdefault(share.name, {})[claim] = entry
        self._pool_of[claim] = share.name
        self._used[share.name] = self._used.get(share.name, 0) + share.slots

    def give_back(self, claim: str) -> None:
        """Count the slots of a claim as free."""
        if pool := self._pool_of.pop(claim, ""):
            self._used[pool] -= self._holding[pool].pop(claim).slots
            self._turns_change(pool)

    # -- questions ----------------------------------------------------------------------------------------------------

    def used(self, pool: str) -> int:
        """Return how many slots are in use; more than there are, if a reload has made them fewer."""
        return self._used.get(pool, 0)

    def free(self, pool: str) -> int:
        """Return how many slots are not in use; below 0 if a reload has made them fewer."""
        return self.slots.get(pool, 0) - self.used(pool)

    def has(self, claim: str) -> bool:
        """Return whether a claim has slots."""
        return claim in self._pool_of

    def holding(self, pool: str) -> list[Entry]:
        """Return what has slots, the first to come first."""
        return list(self._holding.get(pool, {}).values())

    def line(self, pool: str) -> list[Entry]:
        """Return what waits, the first to come first."""
        return list(self._lines.get(pool, ()))

    def names(self) -> list[str]:
        """Return the pools of the config, and those that are gone from it while their slots are in use."""
        return list(dict.fromkeys((*self.slots, *(pool for pool, held in self._holding.items() if held))))

    def refusal(self, claim: str, share: PoolShare) -> str:
        """Return what a claim waits for; "" when it may have its slots now. One that is not in the line comes last."""
        free = self.free(share.name) - share.slots
        first = None
        for entry in self._lines.get(share.name, ()):
            if entry.claim == claim or free < 0:
                break
            first = first or entry
            free -= entry.slots
        return "" if free >= 0 else self._reason(share, first)

    def ends_by_itself(self, claim: str, share: PoolShare) -> bool:
        """Return whether a claim gets its slots without anyone's action: all that comes first ends by itself."""
        before = takewhile(lambda entry: entry.claim != claim, self._lines.get(share.name, ()))
        enough = share.slots <= self.slots.get(share.name, 0)
        return enough and not any(entry.lasting for entry in (*self.holding(share.name), *before))

    def _reason(self, share: PoolShare, first: Entry | None) -> str:
        pool, used = share.name, self.used(share.name)
        holding = self._holding.get(pool, {})
        names = [entry.name for entry in islice(holding.values(), SHOWN)]
        more = len(holding) - len(names)
        names += [f"{more} more"] * (more > 0)
        by = f" by {_listed(names)}" if names else ""
        what = f"pool {pool}" if share.slots == 1 else f"{share.slots} slots of pool {pool}"
        are = "slot is" if self.slots.get(pool) == 1 else "slots are"
        text = f"{what}: {used} of {self.slots.get(pool, 0)} {are} used{by}"
        if first and self.free(pool) >= share.slots:
            text += f", and {first.name} is before it, which needs {first.slots}"
        return text


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
