"""`supctl signal`: send a signal to the main process of tasks."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED, USAGE
from supervisor.verbs.arguments import ADMIN, JSON, ONE_OR_MORE, Argument
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl signal HUP web
supctl signal SIGUSR1 'worker:*'"""


ROLE, ACTS = ADMIN, True

ARGUMENTS = (
    Argument("signal", "HUP, SIGUSR1, 10 …", metavar="SIG"),
    ONE_OR_MORE,
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Send the signal. The supervisor treats an end by it like any other end."""
    name = _name(args["signal"] or "")
    results = []
    for i in chosen(controls.fleet, args):
        sent = bool(i.run and controls.host.signal(i.key, name))
        how = f"{name} sent to pid {i.pid}" if sent else "not running"
        results.append({"name": i.name, "outcome": "sent" if sent else str(i.state), "ok": sent, "text": how})
    controls.context.announcer.event(
        "signal", by=client.by, signal=name, names=[one["name"] for one in results if one["ok"]]
    )
    client.answer({"instances": results})


def _name(given: str) -> str:
    from signal import Signals  # noqa: PLC0415 - not in supctl

    try:
        return Signals(int(given)).name if given.isdigit() else Signals[f"SIG{given.upper().removeprefix('SIG')}"].name
    except (KeyError, ValueError):
        raise RefusedError(f"no signal {given!r}; see `kill -l`", USAGE) from None


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show one line per instance."""
    if options.json:
        screen.json(answer)
    else:
        for one in answer["instances"]:
            screen.line(f"{one['name']}: {one['text']}")
    return OK if all(one["ok"] for one in answer["instances"]) else REFUSED
