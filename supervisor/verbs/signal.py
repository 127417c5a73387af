"""`supctl signal`: a signal to the main process of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, REFUSED, USAGE, Arguments, RefusedError, chosen, text
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl signal HUP web
supctl signal SIGUSR1 'worker:*'"""


def arguments(parser: ArgumentParser) -> None:
    """SIG, NAME…."""
    parser.add_argument("signal", metavar="SIG", help="HUP, SIGUSR1, 10 …")
    parser.add_argument("names", nargs="+", metavar="NAME", help="task, instance, group or glob")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"signal": options.signal, "names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """An end by it is treated as any other end."""
    name = _name(text(args, "signal") or "")
    results = []
    for i in chosen(parent, args):
        sent = bool(i.run and parent.host.signal(i.key, name))
        how = f"{name} sent to pid {i.pid}" if sent else "not running"
        results.append({"name": i.name, "outcome": "sent" if sent else str(i.state), "ok": sent, "text": how})
    parent.announce.event("signal", by=client.by, signal=name, names=[one["name"] for one in results if one["ok"]])
    client.answer({"instances": results})


def _name(given: str) -> str:
    from signal import Signals  # noqa: PLC0415 - not in supctl

    try:
        return Signals(int(given)).name if given.isdigit() else Signals[f"SIG{given.upper().removeprefix('SIG')}"].name
    except (KeyError, ValueError):
        raise RefusedError(f"no signal {given!r}; see `kill -l`", USAGE) from None


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One line each."""
    if options.json:
        screen.json(answer)
    else:
        for one in answer["instances"]:
            screen.line(f"{one['name']}: {one['text']}")
    return OK if all(one["ok"] for one in answer["instances"]) else REFUSED
