"""`supctl top`: the current usage of the tasks, again and again, sorted by a chosen column."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK
from supervisor.verbs.arguments import ANY, FLAG, SECONDS, VIEW, Argument
from supervisor.verbs.figures import figures
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.screen import Screen, age, percent, size

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl top
supctl top --sort memory
supctl top @etl --json"""

RECENT = 1.0
"""Seconds for which figures are new enough for a page that is redrawn."""

SORTS = {"c": "cpu", "m": "memory", "p": "processes", "i": "io", "s": "switches", "r": "restarts", "n": "name"}
"""The keys that sort, and their columns."""

_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cpu": lambda one: -(one["cpu_percent"] or 0),
    "memory": lambda one: -(one["memory_bytes"] or 0),
    "processes": lambda one: -(one["processes"] or 0),
    "io": lambda one: -((one["read_bytes_s"] or 0) + (one["written_bytes_s"] or 0)),
    "switches": lambda one: -(one["switches_s"] or 0),
    "restarts": lambda one: -one["restarts"],
    "name": lambda one: one["name"],
}


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    ANY,
    Argument("sort", "default: cpu; while it runs, keys change it", "--sort", choices=_KEYS, default="cpu", local=True),
    Argument("interval", "default: 2", "--interval", kind=SECONDS, metavar="SECONDS", default=2.0, local=True),
    Argument("once", "show it once and end; always so if stdout is not a terminal", "--once", kind=FLAG, local=True),
    Argument("json", "as JSON, once", "--json", kind=FLAG, local=True),
)


def prepare(options: Namespace) -> None:
    """Decide whether there is a terminal for live pages."""
    options.watch = not (options.once or options.json) and sys.stdout.isatty()


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer one object per running instance. Each request makes @scribe measure again, for the next request."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host = controls.host
    if not controls.context.config.settings.sample:
        raise RefusedError("nothing is measured: sample = 0 in [supervisor]")
    instances = [i for i in chosen(controls.fleet, args, all_without_names=True) if i.run]
    tasks = report.status(controls.fleet, controls.context.config, instances, host.now(), host.stamp)
    samples = figures(controls, tasks, recent=RECENT)
    more = {"threads": "threads", "read": "read_bytes_s", "written": "written_bytes_s", "switches": "switches_s"}
    for one in tasks:
        sample = samples["instances"][f"{one['task']}:{one['instance']}"] if one["processes"] is not None else {}
        one |= {name: sample.get(key) for key, name in (more | {"files": "files"}).items()}
    client.answer({"tasks": tasks})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show a table, the highest usage first."""
    tasks = sorted(answer["tasks"], key=_KEYS[options.sort])
    if options.json:
        screen.json({"tasks": tasks})
        return OK
    if options.watch:
        screen.line(f"by {options.sort}; keys: {', '.join(f'{key} {name}' for key, name in SORTS.items())}, q ends")
    if tasks and all(one["processes"] is None for one in tasks):
        screen.line("nothing was measured yet; the first figures come within seconds")
    head = ("NAME", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "PROCS", "THREADS", "READ/S", "WRITE/S", "SWITCH/S")
    screen.table((*head, "FILES"), [_row(one) for one in tasks])
    return OK


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    switches = one["switches_s"]
    return (
        one["name"], str(one["pid"] or "-"), age(one["uptime_s"]), str(one["restarts"]), percent(one["cpu_percent"]),
        size(one["memory_bytes"]), _count(one["processes"]), _count(one["threads"]), size(one["read_bytes_s"]),
        size(one["written_bytes_s"]), "-" if switches is None else f"{switches:.0f}", _count(one["files"]),
    )  # fmt: skip


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def pause(options: Namespace) -> bool:
    """Wait until the next page is due or a key is pressed. Return False if the key ends the display."""
    from select import select  # noqa: PLC0415 - only while it is live

    keys = [0] if sys.stdin.isatty() else []
    if keys and not getattr(options, "by_keys", False):
        options.by_keys = True
        _listen()
    if not select(keys, [], [], options.interval)[0]:
        return True
    key = os.read(0, 1).decode(errors="replace")
    options.sort = SORTS.get(key, options.sort)
    return key not in ("q", "")


def _listen() -> None:
    """Until the end, receive keys at once and do not show them."""
    import atexit  # noqa: PLC0415
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    atexit.register(termios.tcsetattr, 0, termios.TCSADRAIN, termios.tcgetattr(0))
    tty.setcbreak(0, termios.TCSADRAIN)
