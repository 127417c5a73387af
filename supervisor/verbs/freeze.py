"""`supctl freeze`: forbid every new process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, UNKNOWN, USAGE, Arguments, RefusedError, strings, text
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.host.interface import Done
    from supervisor.parent import Parent

EXAMPLE = """supctl freeze --reason "bad deploy"
supctl freeze web @etl --for 30m"""


LONGEST_REASON = 1000
"""Characters; it is repeated wherever something is held by it."""


def arguments(parser: ArgumentParser) -> None:
    """NAME…, --reason, --for."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task or group (@etl); without any: everything")
    parser.add_argument("--reason", metavar="TEXT", help="shown wherever something is held by it")
    parser.add_argument("--for", dest="duration", metavar="DURATION", help='ends by itself after "30m", "2h" …')
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took; the duration in seconds."""
    seconds = None
    if options.duration is not None:
        from supervisor.config import duration_of  # noqa: PLC0415

        try:
            seconds = duration_of(options.duration)
        except ValueError as error:
            raise RefusedError(f"--for: {error}", USAGE) from None
    return {"names": options.names, "reason": options.reason, "for": seconds}


def scopes(parent: Parent, names: list[str]) -> list[str]:
    """The scopes that names mean: tasks and groups.

    Raises:
        RefusedError: there is no such task or group, or it is one instance of a task.
    """
    from supervisor.core.freeze import EVERYTHING  # noqa: PLC0415 - not in supctl
    from supervisor.core.select import UnknownNameError, tasks  # noqa: PLC0415

    found: dict[str, None] = {}
    if not names:
        return [EVERYTHING]
    for name in names:
        if name.startswith("@") and name[1:] in parent.fleet.groups:
            found[name] = None
            continue
        if ":" in name and not any(character in name for character in "*?["):
            raise RefusedError(f"{name!r}: a freeze holds for a task, a group (@etl) or everything", USAGE)
        try:
            found |= dict.fromkeys(tasks(parent.fleet, name))
        except UnknownNameError as error:
            raise RefusedError(str(error), UNKNOWN) from None
    return list(found)


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Takes effect at once; answered when it is on the disk too."""
    from supervisor.core.freeze import SUPCTL, Freeze  # noqa: PLC0415

    seconds = args.get("for")
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9
    ):
        raise RefusedError("--for takes a duration above zero", USAGE)
    host = parent.host
    expires = None if seconds is None else host.now() + seconds
    until = None if expires is None else host.stamp(expires)
    reason = text(args, "reason") or ""
    if len(reason) > LONGEST_REASON:
        raise RefusedError(f"--reason takes at most {LONGEST_REASON} characters", USAGE)
    if not reason.isprintable():
        raise RefusedError("--reason takes printable characters only: it is shown on other people's terminals", USAGE)
    chosen = scopes(parent, strings(args, "names"))

    def kept(done: Done) -> None:
        warning = f"it holds now, but could not be kept for after a restart: {done.error}" if done.error else None
        frozen = [scope or "all" for scope in chosen]
        there = [i for i in parent.fleet.instances.values() if i.run and parent.fleet.freezes_of(i.task.name)]
        client.answer({"frozen": frozen, "until": until, "running": len(there), "warning": warning})

    since = host.stamp()
    parent.switch.freeze([Freeze(scope, SUPCTL, client.by, since, reason, until, expires) for scope in chosen], kept)


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """What is frozen now."""
    if options.json:
        screen.json(answer)
        return OK
    until = f" until {answer['until']}" if answer["until"] else ""
    what = ", ".join("everything" if scope == "all" else scope for scope in answer["frozen"])
    count = answer["running"]
    go_on = f"what runs there ({count}) goes on, " if count else ""
    screen.line(f"frozen: {what}{until}; {go_on}nothing new is started")
    if answer["warning"]:
        screen.line(f"warning: {answer['warning']}")
    return OK
