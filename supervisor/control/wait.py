"""Waiting for outcomes: a verb that takes time is answered when every instance that it concerns has come to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from supervisor.core.fleet import Fleet
from supervisor.core.instance import Instance
from supervisor.core.report import short_reason
from supervisor.core.states import State


class Asker(Protocol):
    """Whoever gets the answer: a `server.Client`, or a stand-in in the simulation."""

    by: str
    on_close: Callable[[], None] | None

    def who(self) -> dict[str, Any]:
        """For the audit: `user`, `uid`, `pid` and `program`."""

    def answer(self, value: object) -> None:
        """The last line of a request that was done."""

    def fail(self, text: str, exit_code: int = 1) -> None:
        """The last line of a request that was refused or failed."""

    def progress(self, value: object) -> None:
        """A line on the way."""

    def send(self, line: bytes) -> None:
        """A line of a stream."""


Result = dict[str, Any]
"""How it went for one instance: name, outcome, ok, text, run."""

Settled = Callable[[Fleet, Instance], Result | None]
"""Says how it went, or None as long as it is still going on."""


def result(instance: Instance, outcome: str, *, ok: bool, text: str = "") -> Result:
    """The result of one instance."""
    run = instance.run.id if instance.run else None
    return {"name": instance.name, "outcome": outcome, "ok": ok, "text": text or outcome, "run": run}


class Wait:
    """One answer that is being waited for."""

    def __init__(self, client: Asker, pending: dict[str, Instance], settled: Settled) -> None:
        self.client = client
        self.pending = pending  # by key, as last seen
        self.settled = settled
        self.results: dict[str, Result | None] = dict.fromkeys(pending)  # in the order of asking, not of coming to rest
        self.told: dict[str, State] = {}  # by key, what the client knows of those that are pending

    def look(self, fleet: Fleet, keys: list[str]) -> bool:
        """Looks at some of the instances again. True when the answer is out.

        The client is told every state on the way, and then the result, of each instance.
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
                    self._tell(fleet, instance)
        if not self.pending:
            self.client.answer({"instances": list(self.results.values())})
        return not self.pending

    def _tell(self, fleet: Fleet, instance: Instance) -> None:
        if self.told.get(instance.key) is not instance.state:
            self.told[instance.key] = instance.state
            why = short_reason(fleet, instance)
            self.client.progress({"name": instance.name, "state": str(instance.state), "why": why})
