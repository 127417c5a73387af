"""Keep the outcome of each act that takes time under an id, so that a client can ask for it again.

A client that waits gets a ticket at once, and the outcome when it is known. If its connection breaks meanwhile, the act
goes on. The client asks for the outcome by the id of the ticket (verb `ticket`), over another connection. An upgrade
breaks connections, too: the next program takes over the tickets that were open (`restore`).

Tickets are in memory, and bounded in time and number. A supervisor that dies takes them along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from supervisor.control.wait import Asker
from supervisor.core.exits import OK, REFUSED, exit_of

MOST = 200
"""The maximum of tickets. For one more, the oldest that is over is dropped; else the oldest that no client follows."""

KEPT = 600.0
"""Seconds for which an outcome is kept."""


class Client(Asker, Protocol):
    """A client that can get a ticket."""

    def ticket(self, value: object) -> None:
        """Send the line of a ticket."""


class Ticket:
    """One act that takes time. It stands between the verb, which answers it like a client, and the client."""

    def __init__(self, verb: str, by: str, asked: str, now: Callable[[], float]) -> None:
        """`asked` is the stamp of the request."""
        self.verb = verb
        self.by = by
        self.asked = asked
        self.id = ""  # given when the act turns out to take time
        self.outcome: dict[str, Any] | None = None  # "exit", and "answer" or "error"; None: it is waited for
        self.ended = 0.0  # when the outcome came
        self.on_close: Callable[[], None] | None = None  # called if the ticket is dropped before its outcome
        self._now = now
        self._who: dict[str, Any] = {}
        self._client: Client | None = None  # the client that requested the act
        self._followers: list[Asker] = []  # the clients that asked for the ticket
        self._progress: dict[str, Any] = {}  # the last line of each instance, by name

    def serve(self, client: Client) -> None:
        """Pass on everything to the client that asked for the act. The act goes on if the client disconnects."""

        def left() -> None:
            self._client = None

        self._who = client.who()
        self._client = client
        client.on_close = left

    @property
    def followed(self) -> bool:
        """Whether a client waits for the outcome."""
        return bool(self._client or self._followers)

    def json(self) -> dict[str, Any]:
        """Return the ticket as clients see it."""
        exit_code = self.outcome["exit"] if self.outcome else None
        state = "waiting" if exit_code is None else "done" if exit_code == OK else "failed"
        told = self.outcome or {"progress": list(self._progress.values())}
        return {"id": self.id, "verb": self.verb, "by": self.by, "asked": self.asked, "state": state, **told}

    def issue(self, number: str) -> None:
        """Give the ticket its id, and tell the client."""
        self.id = number
        if self._client:
            self._client.ticket({"id": number, "verb": self.verb, "state": "waiting"})

    def follow(self, client: Asker) -> None:
        """Answer a client that asks for this ticket when the outcome is known, with the progress until then."""
        if self.outcome:
            client.answer({"ticket": self.json()})
            return
        self._followers.append(client)
        client.on_close = lambda: self._followers.remove(client) if client in self._followers else None
        for line in list(self._progress.values()):
            client.progress(line)

    def drop(self) -> None:
        """Stop waiting for the outcome, as no client can ask for it any more."""
        if self.on_close:
            self.on_close()

    def end(self, outcome: dict[str, Any]) -> None:
        """Note the outcome, and answer those who asked for the ticket."""
        self.outcome, self.on_close, self.ended, self._progress = outcome, None, self._now(), {}
        followers, self._followers = self._followers, []
        for follower in followers:
            follower.answer({"ticket": self.json()})

    # -- as a client ----------------------------------------------------------------------------------------------

    def who(self) -> dict[str, Any]:
        """See `Asker`."""
        return self._who

    def pidfd(self) -> int:
        """See `Asker`."""
        return self._client.pidfd() if self._client else -1

    def answer(self, value: object) -> None:
        """See `Asker`."""
        self.end({"exit": exit_of(value), "answer": value})
        if client := self._taken():
            client.answer(value)

    def fail(self, text: str, exit_code: int = REFUSED) -> None:
        """See `Asker`."""
        self.end({"exit": exit_code, "error": text})
        if client := self._taken():
            client.fail(text, exit_code)

    def progress(self, value: object) -> None:
        """See `Asker`."""
        if isinstance(value, dict):
            self._progress[str(value.get("name"))] = value
        for client in (self._client, *self._followers):
            if client:
                client.progress(value)

    def descriptor(self) -> int:
        """See `Asker`."""
        return self._client.descriptor() if self._client else -1

    def send(self, line: bytes) -> None:
        """See `Asker`."""
        if self._client:
            self._client.send(line)

    def _taken(self) -> Asker | None:
        client, self._client = self._client, None
        return client


class Tickets:
    """All tickets that a client can ask for."""

    def __init__(self, life: str, now: Callable[[], float]) -> None:
        """`life` makes the ids unique."""
        self._life = life
        self._now = now
        self._count = 0
        self._kept: dict[str, Ticket] = {}  # by id, the oldest first

    def begin(self, client: Client, verb: str, asked: str) -> Ticket:
        """Return the ticket of an act. It has no id, and is not kept, before it is issued."""
        ticket = Ticket(verb, client.by, asked, self._now)
        ticket.serve(client)
        return ticket

    def issue(self, ticket: Ticket) -> None:
        """Keep the ticket of an act whose verb has returned without an outcome, and give it to the client."""
        if ticket.outcome is None:
            self._count += 1
            number = f"{self._life}.{self._count}"
            self._make_room()
            self._kept[number] = ticket
            ticket.issue(number)

    def find(self, number: str) -> Ticket | None:
        """Return a ticket by its id; None if it is not known (any more)."""
        self._forget_old()
        return self._kept.get(number)

    def open(self) -> list[dict[str, str]]:
        """Return the tickets without an outcome, for the program that replaces this one."""
        waiting = (one for one in self._kept.values() if not one.outcome)
        return [{"id": one.id, "verb": one.verb, "by": one.by, "asked": one.asked} for one in waiting]

    def restore(self, opened: Iterable[dict[str, str]], outcome_of: Callable[[str], dict[str, Any]]) -> None:
        """Keep the tickets that were open in the program before this one. `outcome_of` a verb: what became of it."""
        for told in opened:
            verb, by, asked, ticket_id = (str(told.get(name, "?")) for name in ("verb", "by", "asked", "id"))
            ticket = Ticket(verb, by, asked, self._now)
            ticket.id = ticket_id
            ticket.end(outcome_of(ticket.verb))
            self._kept[ticket.id] = ticket

    def _forget_old(self) -> None:
        limit = self._now() - KEPT
        for number in [one.id for one in self._kept.values() if one.outcome and one.ended < limit]:
            del self._kept[number]

    def _make_room(self) -> None:
        """Drop tickets, so that there is room for one more."""
        self._forget_old()
        while len(self._kept) >= MOST:
            over = (one for one in self._kept.values() if one.outcome)
            alone = (one for one in self._kept.values() if not one.followed)
            oldest = next(over, None) or next(alone, None) or next(iter(self._kept.values()))
            del self._kept[oldest.id]
            if not oldest.followed:
                oldest.drop()
