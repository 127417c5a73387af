"""`supctl ticket`: what became of an act that took time, or of a firing, by its id."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import UNKNOWN
from supervisor.verbs.arguments import JSON, VIEW, WAIT, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl ticket 3f9a1c.7
supctl ticket import/manual/1796083200.3f9a1c.1
supctl ticket 3f9a1c.7 --no-wait --json"""

ROLE, ACTS = VIEW, False

ARGUMENTS = (Argument("id", "the id of the ticket, or of a firing", metavar="ID", default=""), WAIT, JSON)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer the ticket: at once, or when the outcome is known."""
    if "/" in (args["id"] or ""):
        from supervisor.shell.by_hand import AsTicket  # noqa: PLC0415 - not in supctl

        controls.by_hand.follow(AsTicket(client, args["id"]), args["id"], until_end=args["wait"])
        return
    ticket = controls.context.tickets.find(args["id"] or "")
    if ticket is None:
        raise RefusedError(
            f"no ticket {args['id']!r}: its outcome is no longer kept, or another supervisor issued it; "
            "see `supctl status`",
            UNKNOWN,
        )
    if args["wait"]:
        ticket.follow(client)
    else:
        client.answer({"ticket": ticket.json()})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the state, and the outcome of each instance. Return the exit code that the act has."""
    ticket = answer["ticket"]
    if options.json:
        screen.json(answer)
    else:
        asked = f"{ticket['verb']} by {ticket['by']}, asked at {ticket['asked']}" if ticket["by"] else ticket["id"]
        screen.line(f"{asked}: {ticket['state']}")
        for line in _lines(ticket):
            screen.line(f"  {line}")
    return int(ticket.get("exit") or 0)


def _lines(ticket: dict[str, Any]) -> list[str]:
    """Return what is known of the outcome, or of the way to it."""
    if "error" in ticket:
        return str(ticket["error"]).splitlines()
    told = ticket.get("answer")
    instances = told.get("instances", ()) if isinstance(told, dict) else ()
    done = [f"{one['name']}: {one['text']}" for one in instances]
    return done + [
        f"{one['name']}: {one.get('text') or one.get('why') or one.get('state')}" for one in ticket.get("progress", ())
    ]
