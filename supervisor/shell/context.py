"""The context: the values that every part of the parent uses.

A part gets this value, and the other parts that it calls; no part gets the parent itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.control.feed import Feed
from supervisor.control.tickets import Tickets
from supervisor.core.definition import Config
from supervisor.core.fleet import Fleet
from supervisor.host.interface import Done, Host
from supervisor.shell.announce import Announcer
from supervisor.shell.journaling import Journaling


class Context:
    """The values that the parts of one supervisor share."""

    def __init__(self, host: Host, config: Config, *, epoch: str, life: str) -> None:
        """Make the values.

        Args:
            host: the machine, or its fake.
            config: the config that was read at the start.
            epoch: makes run ids unique.
            life: makes the cursors of events, and the ids of tickets and of firings by hand, unique.
        """
        self.host = host
        self.life = life
        self.settings = config.settings  # those that hold until the next start: directories, the socket
        self.config = config  # the config in force; only `ConfigInForce` replaces it
        self.reloading = False  # a reload is under way
        self.fleet = Fleet(epoch)
        self.feed = Feed(life)
        self.announcer = Announcer(host, self.feed, self.fleet, config.settings.name)
        self.journaling = Journaling(host)
        self.gates_changed = False  # a freeze came or went: firings are decided anew, and clients may get their answers
        self.tickets = Tickets(life, host.now)
        self._errands: dict[int, Callable[[Done], None]] = {}

    def errand(
        self, then: Callable[[Done], None], function: Callable[..., Any], *arguments: object, keep: int = -1
    ) -> None:
        """Call a function that may block in a forked child, and then `then` with its outcome.

        The child inherits the descriptor `keep` as `aside.KEPT`.
        """
        self._errands[self.host.errand(function, *arguments, keep=keep)] = then

    def finished(self, done: Done) -> None:
        """Pass on the outcome of an errand."""
        if then := self._errands.pop(done.errand, None):
            then(done)

    @property
    def errands_under_way(self) -> int:
        """The number of errands that have not finished."""
        return len(self._errands)
