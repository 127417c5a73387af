"""Audit each act over the socket by a line of the log and an event: who, what, when, and the outcome.

    audit: ann (uid 1000, pid 4242, "supctl"): stop web wait: done

Verbs that only read are no acts. If the outcome of an act comes later, the request has a line of its own ("asked"). So
the act is on record whatever happens meanwhile.

The line identifies the client:

- The kernel gives the user and the process (SO_PEERCRED).
- The name of the user was looked up at the start, as a lookup may ask the network.
- The name of the program is the program's own claim.

The client comes first in the line, so that nothing that it sends can be taken for its identity.

Values of `--env` may be secrets and are not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.control.wait import Asker, Forwarding
from supervisor.core.exits import REFUSED, exit_of
from supervisor.core.text import visible

if TYPE_CHECKING:
    from supervisor.shell.context import Context

LONGEST = 400
"""Characters of the arguments that are shown: a client may send 256 KiB of them."""


class AuditedAct(Forwarding):
    """Pass the answers of a verb to the client, and record the outcome."""

    def __init__(self, context: Context, client: Asker, verb: str, arguments: dict[str, Any]) -> None:
        super().__init__(client)
        self._context = context
        self._who = client.who()
        self._verb = verb
        self._arguments = arguments
        self._asked = context.host.stamp()
        self._over = False
        self._on_close: Callable[[], None] | None = None

    def who(self) -> dict[str, Any]:  # type: ignore[explicit-override]
        """See `Asker`."""
        return self._who

    @property  # type: ignore[explicit-override]
    def on_close(self) -> Callable[[], None] | None:
        """See `Asker`."""
        return self._on_close

    @on_close.setter
    def on_close(self, called: Callable[[], None] | None) -> None:
        self._on_close = called
        self._client.on_close = self._closed if called else None

    def _closed(self) -> None:
        self._record("nobody waits for the outcome any more", None)
        if self._on_close:
            self._on_close()

    def answer(self, value: object) -> None:
        """See `Asker`."""
        self._record(*_outcome(value))
        self._client.answer(value)

    def fail(self, text: str, exit_code: int = REFUSED) -> None:
        """See `Asker`."""
        self._record(f"refused: {text}", exit_code)
        self._client.fail(text, exit_code)

    def under_way(self) -> None:
        """Record the request as "asked" if the verb has returned without an outcome."""
        if not self._over:
            self._record("asked", None)
            self._over = False

    def _record(self, outcome: str, exit_code: int | None) -> None:
        if self._over:
            return
        self._over = True
        said = _clean(f"{self._verb} {words(self._arguments)}".strip())
        who = {key: _clean(str(value)) for key, value in self._who.items()}
        program = who["program"].replace('"', "'")
        by = f'{who["user"]} (uid {who["uid"]}, pid {who["pid"]}, "{program}")'
        self._context.host.log("info", f"audit: {by}: {said}: {_clean(outcome)}")
        self._context.announcer.event(
            "audit", **self._who, verb=self._verb, arguments=said, asked=self._asked, outcome=outcome, exit=exit_code
        )


def words(arguments: dict[str, Any]) -> str:
    """Return the arguments in short."""
    parts = []
    for key, value in arguments.items():
        if value in (None, False, "", []):
            continue
        if key == "env":
            names = [str(item).partition("=")[0] for item in value] if isinstance(value, list) else ["?"]
            parts += [f"env={name}=…" for name in names]
        elif isinstance(value, list):
            shown = " ".join(map(str, value))
            parts.append(shown if key in ("names", "scales") else f"{key}={shown}")
        else:
            parts.append(key if value is True else f"{key}={value}")
    return " ".join(parts)


def _outcome(value: object) -> tuple[str, int]:
    """Return the outcome as text, and supctl's exit code for it."""
    instances = value.get("instances", ()) if isinstance(value, dict) else ()
    bad = (f"{one['name']}: {one['text']}" for one in instances if not one["ok"])
    return "; ".join(bad) or "done", exit_of(value)


def _clean(text: str) -> str:
    """Make a text fit for one line of a log that others read."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return visible(short)
