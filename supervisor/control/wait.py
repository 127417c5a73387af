"""Wait for outcomes. A verb that takes time is answered when every instance that it concerns has settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from supervisor.core.fleet import Fleet
from supervisor.core.instance import Instance
from supervisor.core.report import short_reason
from supervisor.core.roster import Change
from supervisor.core.states import State


class Asker(Protocol):
    """The client that gets the answer: a `server.Client`, or a stand-in in the simulation."""

    by: str
    on_close: Callable[[], None] | None

    def who(self) -> dict[str, Any]:
        """Return `user`, `uid`, `pid` and `program`, for the audit."""

    def pidfd(self) -> int:
        """Return a new descriptor of the client's process; -1: a pid is all that is known.

        Raises:
            OSError: the process has ended, or no descriptor is left.
        """

    def answer(self, value: object) -> None:
        """Send the last line of a request that was done."""

    def fail(self, text: str, exit_code: int = 1) -> None:
        """Send the last line of a request that was refused or failed."""

    def progress(self, value: object) -> None:
        """Send a line of progress."""

    def send(self, line: bytes) -> None:
        """Send a line of a stream."""

    def descriptor(self) -> int:
        """Return the descriptor that came with the request, once; -1 for none. The caller closes it."""


class Forwarding:
    """The base of a stand-in for a client: an `Asker` that passes on everything but `answer` and `fail`."""

    def __init__(self, client: Asker) -> None:
        self.by = client.by
        self._client = client

    @property
    def on_close(self) -> Callable[[], None] | None:
        """See `Asker`."""
        return self._client.on_close

    @on_close.setter
    def on_close(self, called: Callable[[], None] | None) -> None:
        self._client.on_close = called

    def who(self) -> dict[str, Any]:
        """See `Asker`."""
        return self._client.who()

    def pidfd(self) -> int:
        """See `Asker`."""
        return self._client.pidfd()

    def progress(self, value: object) -> None:
        """See `Asker`."""
        self._client.progress(value)

    def send(self, line: bytes) -> None:
        """See `Asker`."""
        self._client.send(line)

    def descriptor(self) -> int:
        """See `Asker`."""
        return self._client.descriptor()


Result = dict[str, Any]
"""The result for one instance: name, outcome, ok, text, run."""

Settled = Callable[[Fleet, Instance], Result | None]
"""A function that returns the result, or None while the instance has not settled."""


def result(instance: Instance, outcome: str, *, ok: bool, text: str = "") -> Result:
    """Return the result of one instance."""
    run = instance.run.id if instance.run else None
    return {"name": instance.name, "outcome": outcome, "ok": ok, "text": text or outcome, "run": run}


class Wait:
    """One answer that is being waited for."""

    def __init__(self, client: Asker, pending: dict[str, Instance], settled: Settled) -> None:
        self.client = client
        self.pending = pending  # by key, as last seen
        self.settled = settled
        self.results: dict[str, Result | None] = dict.fromkeys(pending)  # in the order of the request, not of settling
        self.reported: dict[str, State] = {}  # by key, the last state that the client knows

    def check(self, fleet: Fleet, keys: list[str]) -> bool:
        """Check some of the instances again. Return True when the client has its answer.

        For each instance, the client gets every state on the way, and then the result.
        """
        for key in keys:
            if key in self.pending:
                instance = fleet.instances.get(key)
                last = self.pending[key]
                how = self.settled(fleet, instance) if instance else result(last, "removed", ok=True)
                if how:
                    del self.pending[key]
                    self.results[key] = how
                    self.client.progress(how)
                elif instance:
                    self.pending[key] = instance
                    self._report(fleet, instance)
        if not self.pending:
            self.client.answer({"instances": list(self.results.values())})
        return not self.pending

    def _report(self, fleet: Fleet, instance: Instance) -> None:
        if self.reported.get(instance.key) is not instance.state:
            self.reported[instance.key] = instance.state
            why = short_reason(fleet, instance)
            self.client.progress({"name": instance.name, "state": str(instance.state), "why": why})


class Waits:
    """Every answer that is being waited for."""

    def __init__(self) -> None:
        self.open: list[Wait] = []

    def add(self, client: Asker, instances: Iterable[Instance], settled: Settled) -> Wait:
        """Begin a wait. It also ends when no client can be answered any more."""
        wait = Wait(client, {instance.key: instance for instance in instances}, settled)
        client.on_close = lambda: self.open.remove(wait) if wait in self.open else None
        self.open.append(wait)
        return wait

    def check(self, wait: Wait, fleet: Fleet, keys: list[str] | None = None) -> None:
        """Answer a client if every instance that it waits for has settled.

        Args:
            wait: one of the open waits.
            fleet: the instances as they are now.
            keys: those that have changed; None: all that the client waits for.
        """
        # A client that cannot be answered is closed. Closing it removes its wait.
        if wait in self.open and wait.check(fleet, list(wait.pending) if keys is None else keys) and wait in self.open:
            self.open.remove(wait)

    def observe(self, fleet: Fleet, changes: Iterable[Change]) -> None:
        """Answer the clients that wait for a changed instance."""
        if not self.open:
            return
        changed = list(dict.fromkeys(change.old.key for change in changes))
        calm = fleet.next_deadline() != 0.0  # no instance waits for its turn to start, so held ones stay held
        for wait in list(self.open):
            self.check(wait, fleet, None if calm else changed)
