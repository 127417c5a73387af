"""`supctl freeze`: forbid every new process."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, UNKNOWN, USAGE
from supervisor.verbs.arguments import DURATION, JSON, OPERATE, STRINGS, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.freeze import Freeze
    from supervisor.host.interface import Done
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl freeze --reason "bad deploy"
supctl freeze web @etl --for 30m"""


LONGEST_REASON = 1000
"""Characters. The reason is repeated wherever the freeze holds something."""


ROLE, ACTS = OPERATE, True

ARGUMENTS = (
    Argument("names", "task or group (@etl); default: everything", kind=STRINGS, many="*", metavar="NAME"),
    Argument("reason", "shown with everything that this freeze holds", "--reason", metavar="TEXT"),
    Argument("for", 'end the freeze after this time: "30m", "2h" …', "--for", kind=DURATION, metavar="DURATION"),
    JSON,
)


def scopes(controls: Controls, names: list[str]) -> list[str]:
    """Return the scopes that names mean: tasks and groups.

    Raises:
        RefusedError: there is no such task or group, or it is one instance of a task.
    """
    from supervisor.core.freeze import EVERYTHING  # noqa: PLC0415 - not in supctl
    from supervisor.core.select import UnknownNameError, tasks  # noqa: PLC0415

    found: dict[str, None] = {}
    if not names:
        return [EVERYTHING]
    for name in names:
        if name.startswith("@") and name[1:] in controls.fleet.groups:
            found[name] = None
            continue
        if ":" in name and not any(character in name for character in "*?["):
            raise RefusedError(f"{name!r}: only a task, a group (@etl) or everything can be frozen", USAGE)
        try:
            found |= dict.fromkeys(tasks(controls.fleet, name))
        except UnknownNameError as error:
            raise RefusedError(str(error), UNKNOWN) from None
    return list(found)


def freezes_asked_for(controls: Controls, client: Asker, args: Arguments, source: str) -> list[Freeze]:
    """Return the freezes, or the holds, that a request means.

    Raises:
        RefusedError: a name or the reason is not allowed.
    """
    from supervisor.core.freeze import Freeze  # noqa: PLC0415 - not in supctl

    seconds = args["for"]
    host = controls.host
    expires = None if seconds is None else host.now() + seconds
    until = None if expires is None else host.stamp(expires)
    reason = args["reason"] or ""
    if len(reason) > LONGEST_REASON:
        raise RefusedError(f"--reason takes at most {LONGEST_REASON} characters", USAGE)
    if not reason.isprintable():
        raise RefusedError("--reason takes printable characters only: it is shown on other people's terminals", USAGE)
    since, chosen = host.stamp(), scopes(controls, args["names"])
    return [Freeze(scope, source, client.by, since, reason, until, expires) for scope in chosen]


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Freeze at once. Answer when the freeze is on the disk too."""
    from supervisor.core.freeze import SUPCTL  # noqa: PLC0415 - not in supctl

    freezes = freezes_asked_for(controls, client, args, SUPCTL)

    def kept(done: Done) -> None:
        warning = (
            f"the freeze is in force, but could not be saved, so a restart may lose it: {done.error}"
            if done.error
            else None
        )
        frozen, until = [freeze.scope or "all" for freeze in freezes], freezes[0].until
        there = [i for i in controls.fleet.instances.values() if i.run and controls.fleet.freezes_of(i.task.name)]
        client.answer({"frozen": frozen, "until": until, "running": len(there), "warning": warning})

    controls.freezes.freeze(freezes, kept)


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the scopes that are frozen now."""
    if options.json:
        screen.json(answer)
        return OK
    until = f" until {answer['until']}" if answer["until"] else ""
    what = ", ".join("everything" if scope == "all" else scope for scope in answer["frozen"])
    count = answer["running"]
    go_on = f"what runs there ({count}) keeps running, " if count else ""
    screen.line(f"frozen: {what}{until}; {go_on}nothing new is started")
    if answer["warning"]:
        screen.line(f"warning: {answer['warning']}")
    return OK
