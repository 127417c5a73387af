"""`supctl thaw`: undo what `supctl freeze` did."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import JSON, OPERATE, STRINGS, Argument
from supervisor.verbs.freeze import scopes
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.host.interface import Done
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl thaw
supctl thaw web @etl"""


ROLE, ACTS = OPERATE, True

ARGUMENTS = (
    Argument("names", "task or group (@etl); default: everything", kind=STRINGS, many="*", metavar="NAME"),
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Undo freezes by `supctl freeze` or the supervisor itself in just these scopes. List the freezes that remain."""
    from supervisor.core.freeze import CONFIG  # noqa: PLC0415 - not in supctl
    from supervisor.core.report import freeze_json  # noqa: PLC0415

    chosen = scopes(controls, args["names"])
    gone = [f for f in controls.fleet.freezes if f.source != CONFIG and f.scope in chosen]
    still = [freeze_json(f) for f in controls.fleet.freezes if f not in gone]

    def kept(done: Done) -> None:
        warning = f"thawed, but that could not be saved, so it is frozen again after a boot: {done.error}"
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
        {"name": i.name, "trigger": i.trigger, "held_since": controls.host.stamp(i.since)}
        for i in controls.freezes.thaw(gone, client.by, kept)
    ]


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the instances that start now, and those that are still frozen."""
    if options.json:
        screen.json(answer)
        return OK
    what = ", ".join("everything" if scope == "all" else scope for scope in answer["thawed"])
    screen.line(f"thawed: {what}" if what else "nothing to thaw: no `supctl freeze` is in force there")
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
