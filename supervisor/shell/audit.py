"""Audit: a line of the log and an event for each act over the socket: who, what, when, and what came of it.

    audit: ann (uid 1000, pid 4242, "supctl"): stop web wait: done

Verbs that only read are no acts. An act whose outcome takes its time has a line when it is asked ("asked"), too, so
that it is on record whatever happens meanwhile. The kernel says who it is (SO_PEERCRED); the name of the user is one
that was looked up at the start, as a lookup may ask the network; that of the program is its own word for itself. Who it
was comes first in the line, so that nothing that a client sends can be taken for it.

Values of `--env` may be secrets and are not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.verbs import READING
from supervisor.verbs.interface import NOT_WELL, OK, REFUSED

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

LONGEST = 400
"""Characters of the arguments that are shown: a client may send 256 KiB of them."""


class Act:
    """Stands between a verb and the client that asked for it, and notes the outcome."""

    def __init__(self, parent: Parent, client: Asker, verb: str, arguments: dict[str, Any]) -> None:
        self.by = client.by
        self._parent = parent
        self._client = client
        self._who = client.who()
        self._verb = verb
        self._arguments = arguments
        self._asked = parent.host.stamp()
        self._over = False
        self._on_close: Callable[[], None] | None = None

    def who(self) -> dict[str, Any]:
        """See `Asker`."""
        return self._who

    @property
    def on_close(self) -> Callable[[], None] | None:
        """See `Asker`."""
        return self._on_close

    @on_close.setter
    def on_close(self, called: Callable[[], None] | None) -> None:
        self._on_close = called
        self._client.on_close = self._closed if called else None

    def _closed(self) -> None:
        self._note("its client did not wait for the outcome", None)
        if self._on_close:
            self._on_close()

    def answer(self, value: object) -> None:
        """See `Asker`."""
        self._note(*_outcome(value))
        self._client.answer(value)

    def fail(self, text: str, exit_code: int = REFUSED) -> None:
        """See `Asker`."""
        self._note(f"refused: {text}", exit_code)
        self._client.fail(text, exit_code)

    def progress(self, value: object) -> None:
        """See `Asker`."""
        self._client.progress(value)

    def send(self, line: bytes) -> None:
        """See `Asker`."""
        self._client.send(line)

    def under_way(self) -> None:
        """The verb has returned, perhaps before there was an outcome."""
        if not self._over:
            self._note("asked", None)
            self._over = False

    def _note(self, outcome: str, exit_code: int | None) -> None:
        if self._over:
            return
        self._over = True
        said = _clean(f"{self._verb} {words(self._arguments)}".strip())
        who = {key: _clean(str(value)) for key, value in self._who.items()}
        program = who["program"].replace('"', "'")
        by = f'{who["user"]} (uid {who["uid"]}, pid {who["pid"]}, "{program}")'
        self._parent.host.log("info", f"audit: {by}: {said}: {_clean(outcome)}")
        self._parent.announce.event(
            "audit", **self._who, verb=self._verb, arguments=said, asked=self._asked, outcome=outcome, exit=exit_code
        )


def audited(parent: Parent, client: Asker, verb: str, arguments: dict[str, Any]) -> Act | None:
    """What stands in for the client of an act; None for a verb that only reads."""
    return None if verb in READING else Act(parent, client, verb, arguments)


def words(arguments: dict[str, Any]) -> str:
    """The arguments in short, names first."""
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
    """What came of it, and the exit code that supctl has for it."""
    instances = value.get("instances", ()) if isinstance(value, dict) else ()
    bad = [one for one in instances if not one["ok"]]
    if not bad:
        return "done", OK
    code = NOT_WELL if all(one["outcome"] == "held" for one in bad) else REFUSED
    return "; ".join(f"{one['name']}: {one['text']}" for one in bad), code


def _clean(text: str) -> str:
    """Fit for one line of a log that others read."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)
