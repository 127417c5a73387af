"""Give slots of pools to programs that are not tasks: `supctl pool NAME -- COMMAND`.

The client asks, waits for its turn, and then executes the command in its own process. So the process that has the slot
is the command itself, and a pidfd tells at once when it has ended. The kernel says who the client is (SO_PEERCRED).

The journal has each holder before its client gets the answer. Holders live on without the supervisor. The next one
finds them by pid and birth, and frees the slots of those that have ended meanwhile. It does so after a crash, an
upgrade and an orderly stop alike. Clients that wait are not kept: `supctl` asks the next supervisor again.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from supervisor.control.refusal import RefusedError
from supervisor.core.definition import PoolShare
from supervisor.core.duration import spoken
from supervisor.core.exits import UNKNOWN
from supervisor.core.immutable import immutable, names_of, plain, replace
from supervisor.core.nearest import nearest
from supervisor.core.text import visible
from supervisor.core.words import in_words
from supervisor.host import clock

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.core.pools import Entry
    from supervisor.shell.context import Context

HOLDER = "fleet holder "
"""The names of the facts of holders, in the journal. The claim follows."""

LONGEST_NAME = 40
"""Characters of the name of a program that are kept. The program says its own name, so it may be any text."""


@immutable
class Holder:
    """A program that has slots, or waits for them."""

    pool: str
    slots: int
    pid: int
    birth: int  # in clock ticks since boot: shows whether the pid was reused
    program: str  # the first word of its command, as the client says
    by: str  # its user
    since: str  # RFC 3339: when it asked, and later when it got the slots

    @property
    def claim(self) -> str:
        """Its name in `core.pools`: no instance and no firing has one with a blank."""
        return f"{self.pid} {self.birth} {self.pool}"

    @property
    def share(self) -> PoolShare:
        """What it needs of the pool."""
        return PoolShare(self.pool, self.slots)

    @property
    def name(self) -> str:
        """The name that people see."""
        return f"{self.program} (pid {self.pid}, {self.by})"


class Waiter:
    """A client that waits for slots, or for the journal to have that it has them."""

    def __init__(self, client: Asker, holder: Holder, asked: float, patience: float) -> None:
        self.client, self.holder = client, holder
        self.patience = patience  # seconds; inf: without end
        self.deadline = asked + patience  # monotonic seconds


class PoolHolders:
    """The programs that use the pools of one supervisor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pools = context.fleet.pools
        self._holders: dict[str, Holder] = {}  # by claim
        self._waiters: dict[str, Waiter] = {}  # the same
        self._granted: list[Waiter] = []  # they have slots, and get their answer once the journal has that

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Take over the holders that live. The slots of those that have ended are free."""
        for name, fact in facts.items():
            if not name.startswith(HOLDER):
                continue
            holder = _from_record(fact.get("holder"))
            if holder is None:
                self._context.host.log("error", f"the journal's record of {name.removeprefix('fleet ')} is not usable")
                self._forget(name.removeprefix(HOLDER))
                continue
            self._take(holder)
            try:
                self._context.host.watch_process(holder.claim, holder.pid, holder.birth)
            except ProcessLookupError:
                self.ended(holder.claim)

    # -- clients ------------------------------------------------------------------------------------------------------

    def ask(self, client: Asker, share: PoolShare, program: str, patience: float = inf) -> None:
        """Give slots to the process of a client, as soon as it is its turn.

        Args:
            client: it is answered then.
            share: the pool, and the number of slots.
            program: what the process will execute, for people.
            patience: the seconds after which the client is refused; 0: it does not wait.

        Raises:
            RefusedError: it can have no slots.
        """
        host, who = self._context.host, client.who()
        self._check(share)
        pid = who["pid"]
        if not pid:
            raise RefusedError(
                "the supervisor cannot see your process, as it is in another pid namespace; run the command there "
                "where the supervisor runs"
            )
        birth = host.birth_of(pid)
        if not birth:
            raise RefusedError(f"the supervisor cannot see your process (pid {pid}) in /proc")
        program = visible(program)[:LONGEST_NAME]
        holder = Holder(share.name, share.slots, pid, birth, program, client.by, host.stamp())
        if had := self._holders.get(holder.claim):  # it asks again, as its connection broke before the answer
            if had.slots < share.slots:
                raise RefusedError(f"process {pid} has {_slots(had)} of pool {share.name}, and would wait for itself")
            self._drop_granted(holder.claim)
            self._granted.append(self._waiter(client, had, patience))
            return
        if before := self._waiters.get(holder.claim):  # the same; the old connection is of no use
            before.client.on_close = None
            before.client.fail("the same process has asked again")
        waiter = self._waiters[holder.claim] = self._waiter(client, holder, patience)
        self._pools.join(holder.claim, share, holder.name, lasting=True)
        if patience == 0 and self._closed(holder):
            self._refuse(waiter)

    def _waiter(self, client: Asker, holder: Holder, patience: float) -> Waiter:
        waiter = Waiter(client, holder, self._context.host.now(), patience)
        client.on_close = lambda: self._left(waiter)
        return waiter

    def _drop_granted(self, claim: str) -> None:
        """Forget the clients that were to be told that this claim has its slots."""
        for waiter in [one for one in self._granted if one.holder.claim == claim]:
            self._granted.remove(waiter)
            waiter.client.on_close = None

    def _check(self, share: PoolShare) -> None:
        """Raise if there is no such pool, or if it never has so many slots.

        Raises:
            RefusedError: the text says which of the two.
        """
        slots = self._pools.slots.get(share.name)
        if slots is None:
            near = nearest(share.name, self._pools.slots)
            known = f"did you mean {near!r}?" if near else f"there are: {', '.join(self._pools.slots) or 'none'}"
            raise RefusedError(f"no pool {share.name!r}; {known}", UNKNOWN)
        if share.slots > slots:
            raise RefusedError(f"pool {share.name} has {slots} slots, not {share.slots}")

    def _closed(self, holder: Holder) -> str:
        """Return why a program cannot have its slots now, or ""."""
        if shutdown := self._context.fleet.shutdown:
            return f"the supervisor is shutting down: {shutdown.reason}"
        return self._context.journaling.trouble or self._pools.refusal(holder.claim, holder.share)

    def _refuse(self, waiter: Waiter, why: str = "") -> None:
        holder, why = waiter.holder, why or self._closed(waiter.holder)
        self._leave(waiter)
        after = f"within {spoken(waiter.patience)}" if waiter.patience else "at once"
        slots = "no slot" if holder.slots == 1 else f"no {holder.slots} slots"
        waiter.client.fail(f"{slots} of pool {holder.pool} {after}: {why.removeprefix(f'pool {holder.pool}: ')}")

    def _leave(self, waiter: Waiter) -> None:
        del self._waiters[waiter.holder.claim]
        waiter.client.on_close = None
        self._pools.leave(waiter.holder.claim)

    def _left(self, waiter: Waiter) -> None:
        """Handle a client that has hung up before it got its answer."""
        if waiter in self._granted:
            self._granted.remove(waiter)
            self._release(waiter.holder.claim, "the client hung up before it got its answer")
        elif self._waiters.get(waiter.holder.claim) is waiter:
            self._leave(waiter)

    # -- in each turn -------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """See `Timed`: the end of somebody's patience; or now, if it became somebody's turn late in the last turn."""
        if self._in_turn():
            return self._context.host.now()
        moment = min((waiter.deadline for waiter in self._waiters.values()), default=inf)
        return None if moment == inf else moment

    def due(self, now: float) -> None:
        """See `Timed`. A client whose turn has come is not refused."""
        turn = self._in_turn()
        for waiter in [one for one in self._waiters.values() if one.deadline <= now and one not in turn]:
            self._refuse(waiter)

    def decide(self) -> None:
        """Give slots to those whose turn has come."""
        for waiter in list(self._waiters.values()):
            try:
                self._check(waiter.holder.share)
            except RefusedError as refusal:  # by a reload
                self._refuse(waiter, str(refusal))
        for waiter in self._in_turn():
            self._grant(waiter)

    def _in_turn(self) -> list[Waiter]:
        if not self._waiters or self._context.fleet.shutdown or self._context.journaling.trouble:
            return []
        pools = {waiter.holder.pool for waiter in self._waiters.values()}
        claims = (claim for pool in sorted(pools) for claim in self._pools.in_turn(pool))
        return [self._waiters[claim] for claim in claims if claim in self._waiters]

    def _grant(self, waiter: Waiter) -> None:
        host, asked = self._context.host, waiter.holder
        try:
            host.watch_process(asked.claim, asked.pid, asked.birth, waiter.client.pidfd(), spare=True)
        except OSError as error:
            self._leave(waiter)
            waiter.client.fail(f"no slot of pool {asked.pool}: your process cannot be watched: {in_words(error)}")
            return
        waiter.holder = holder = replace(asked, since=host.stamp())
        del self._waiters[holder.claim]
        self._take(holder)
        self._context.journaling.facts.append({"fleet": f"holder {holder.claim}", "holder": plain(holder)})
        self._granted.append(waiter)
        self._context.announcer.event("slots-taken", **_facts(holder))
        host.log("info", f"pool {holder.pool}: {_slots(holder)} to {holder.name}")

    def answer(self) -> None:
        """Answer those that have slots. Call it after the journal was written."""
        if self._context.journaling.trouble:
            return
        granted, self._granted = self._granted, []
        for waiter in granted:
            holder = waiter.holder
            waiter.client.on_close = None
            waiter.client.answer(_answer(holder))

    # -- holders ------------------------------------------------------------------------------------------------------

    def ended(self, claim: str) -> None:
        """Free the slots of a process that has ended."""
        self._drop_granted(claim)
        self._release(claim, "it has ended")

    def _take(self, holder: Holder) -> None:
        self._holders[holder.claim] = holder
        self._pools.take(holder.claim, holder.share, holder.name, lasting=True)

    def _release(self, claim: str, why: str) -> None:
        holder = self._holders.pop(claim, None)
        if holder is None:
            return
        context = self._context
        self._pools.give_back(claim)
        context.gates_changed = True
        context.host.unwatch_process(claim)
        self._forget(claim)
        context.announcer.event("slots-released", **_facts(holder), why=why)
        context.host.log("info", f"pool {holder.pool}: {_slots(holder)} back from {holder.name}: {why}")

    def _forget(self, claim: str) -> None:
        self._context.journaling.facts.append({"fleet": f"holder {claim}", "gone": True})

    # -- for people ---------------------------------------------------------------------------------------------------

    def table(self, pool: str = "") -> list[dict[str, Any]]:
        """Return the pools, or one of them: slots, what has some, and what waits for some.

        Raises:
            RefusedError: there is no such pool.
        """
        names = self._pools.names()
        if pool and pool not in names:
            self._check(PoolShare(pool, 0))
        return [
            {
                "name": name,
                "slots": self._pools.slots.get(name, 0),
                "used": self._pools.used(name),
                "holders": [self._row(entry) for entry in self._pools.holding(name)],
                "waiting": [self._row(entry) for entry in self._pools.line(name)],
            }
            for name in names
            if pool in ("", name)
        ]

    def _row(self, entry: Entry) -> dict[str, Any]:
        row = {"name": entry.name, "slots": entry.slots} | dict.fromkeys(("run", "firing", "pid", "by", "since"))
        instance = self._context.fleet.instances.get(entry.claim)
        known = self._holders | {claim: waiter.holder for claim, waiter in self._waiters.items()}
        if holder := known.get(entry.claim):
            return row | {"pid": holder.pid, "by": holder.by, "since": holder.since}
        if instance is None:
            return row | {"firing": entry.claim, "since": None if entry.due is None else clock.rfc3339(entry.due)}
        run, since = instance.run, instance.run.began if instance.run else instance.since
        return row | {
            "run": run.id if run else None,
            "pid": instance.pid,
            "since": self._context.host.stamp(since),
        }


_TEXTS = ("pool", "program", "by", "since")


def _from_record(record: object) -> Holder | None:
    """Return the holder of a record in the journal; None if it is not usable."""
    names = names_of(Holder)
    if not isinstance(record, dict) or any(name not in record for name in names):
        return None
    values = {name: record[name] for name in names}  # without the fields that a later version has added
    good = all(isinstance(value, str if name in _TEXTS else int) for name, value in values.items())
    return Holder(**values) if good and min(values["pid"], values["slots"], values["birth"]) > 0 else None


def _facts(holder: Holder) -> dict[str, Any]:
    return {"pool": holder.pool, "slots": holder.slots, "pid": holder.pid, "program": holder.program, "by": holder.by}


def _answer(holder: Holder) -> dict[str, Any]:
    return {"pool": holder.pool, "slots": holder.slots, "pid": holder.pid, "since": holder.since}


def _slots(holder: Holder) -> str:
    return "1 slot" if holder.slots == 1 else f"{holder.slots} slots"
