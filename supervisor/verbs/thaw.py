"""`supctl thaw`: undo what `supctl freeze` did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.freeze import scopes
from supervisor.verbs.interface import OK, Arguments, strings
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.host.interface import Done
    from supervisor.parent import Parent

EXAMPLE = """supctl thaw
supctl thaw web @etl"""


def arguments(parser: ArgumentParser) -> None:
    """NAME…."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task or group (@etl); without any: everything")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Only what `supctl freeze`, or the supervisor itself, froze in just these scopes; what still holds is listed."""
    from supervisor.core.freeze import CONFIG  # noqa: PLC0415 - not in supctl
    from supervisor.core.report import freeze_json  # noqa: PLC0415

    chosen = scopes(parent, strings(args, "names"))
    gone = [f for f in parent.fleet.freezes if f.source != CONFIG and f.scope in chosen]
    still = [freeze_json(f) for f in parent.fleet.freezes if f not in gone]

    def kept(done: Done) -> None:
        warning = f"it is undone, but that could not be kept: it is frozen again after a boot: {done.error}"
        client.answer(
            {
                "thawed": [f.scope or "all" for f in gone],
                "released": names,
                "still": still,
                "warning": (done.error and warning) or None,
            }
        )

    names: list[dict[str, str]] = []
    names += [
        {"name": i.name, "trigger": i.trigger, "held_since": parent.host.stamp(i.since)}
        for i in parent.switch.thaw(gone, client.by, kept)
    ]


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """What starts now, and what is frozen all the same."""
    if options.json:
        screen.json(answer)
        return OK
    what = ", ".join("everything" if scope == "all" else scope for scope in answer["thawed"])
    screen.line(f"thawed: {what}" if what else "nothing that `supctl thaw` undoes was frozen there")
    for one in answer["released"]:
        screen.line(f"  {one['name']} starts now ({one['trigger']}, held since {one['held_since']})")
    for one in answer["still"]:
        how = (
            "change that line"
            if one["source"] == "config"
            else f"supctl thaw {'' if one['scope'] == 'all' else one['scope']}"
        )
        scope = "everything" if one["scope"] == "all" else one["scope"]
        screen.line(f"still frozen: {scope} by {one['by']} ({how.strip()})")
    if answer["warning"]:
        screen.line(f"warning: {answer['warning']}")
    return OK
