"""Requests of clients: each is checked, audited and answered by its verb.

A bug in a verb costs its client the answer. It never reaches the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import FAILED, USAGE
from supervisor.core.words import in_words
from supervisor.shell.audit import AuditedAct

if TYPE_CHECKING:
    from supervisor.control.tickets import Client
    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls


class Answering(Protocol):
    """A verb, as the parent needs it (`verbs.interface.Verb`)."""

    acts: bool
    """Whether it changes anything. An act is audited."""

    bound: bool
    """Whether an act ends when its client hangs up. Others go on, and have a ticket."""

    def reads(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a request of a verb that acts changes nothing."""

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with their defaults.

        Raises:
            RefusedError: one is unknown, is missing or has the wrong type.
        """

    def answer(self, controls: Controls, client: Asker, arguments: dict[str, Any]) -> None:
        """Do what was asked, and answer now or later.

        Raises:
            RefusedError: it cannot be done.
        """


class Requests:
    """The verbs of one supervisor."""

    def __init__(self, controls: Controls, verbs: Mapping[str, Answering]) -> None:
        """`verbs` are those that this supervisor can answer, by name."""
        self._controls = controls
        self.verbs = dict(verbs)

    def answer(self, client: Client, name: str, arguments: dict[str, Any]) -> None:
        """Answer one request. The client of an act that takes time gets a ticket."""
        verb = self.verbs.get(name)
        if verb and (not verb.acts or verb.reads(arguments)):
            self._answer(verb, client, name, arguments)
            return
        context = self._controls.context
        if verb and verb.bound:
            act = AuditedAct(context, client, name, arguments)
            self._answer(verb, act, name, arguments)
            act.under_way()
            return
        ticket = context.tickets.begin(client, name, context.host.stamp())
        act = AuditedAct(context, ticket, name, arguments)
        self._answer(verb, act, name, arguments)
        act.under_way()
        context.tickets.issue(ticket)

    def _answer(self, verb: Answering | None, client: Asker, name: str, arguments: dict[str, Any]) -> None:
        if verb is None:
            client.fail(f"no verb {name!r}; this supervisor has: {', '.join(sorted(self.verbs))}", USAGE)
            return
        try:
            verb.answer(self._controls, client, verb.checked(arguments))
        except RefusedError as refusal:
            client.fail(str(refusal), refusal.exit_code)
        except OSError as error:
            client.fail(f"cannot run the verb {name} now: {in_words(error)}; try again")
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            told = _with_place(error)
            self._controls.context.host.log("error", f"bug in the verb {name}, requested by {client.by}: {told}")
            client.fail(f"internal error, a bug in the supervisor: {told}", FAILED)


def _with_place(error: BaseException) -> str:
    """Return the error and the line of code that raised it."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}: {error}{where}"
