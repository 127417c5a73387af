"""`supctl top`: what the tasks use now, again and again, sorted by what is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, Arguments, RefusedError, chosen
from supervisor.verbs.screen import Screen, age, percent, size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl top
supctl top --sort memory
supctl top @etl --json"""

LOOKS = 6.0
"""Seconds for which @scribe measures more often after a request."""

SORTS = {"c": "cpu", "m": "memory", "p": "processes", "i": "io", "s": "switches", "r": "restarts", "n": "name"}
"""The keys that sort, and by what."""

_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cpu": lambda one: -(one["cpu_percent"] or 0),
    "memory": lambda one: -(one["memory_bytes"] or 0),
    "processes": lambda one: -(one["processes"] or 0),
    "io": lambda one: -((one["read_bytes_s"] or 0) + (one["written_bytes_s"] or 0)),
    "switches": lambda one: -(one["switches_s"] or 0),
    "restarts": lambda one: -one["restarts"],
    "name": lambda one: one["name"],
}


def arguments(parser: ArgumentParser) -> None:
    """NAME…, --sort, --interval, --once, --json."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task, instance (web:2), group (@etl) or glob ('w*')")
    parser.add_argument("--sort", choices=list(_KEYS), default="cpu", help="default: cpu; while it runs: their keys")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="default: 2")
    parser.add_argument("--once", action="store_true", help="once, and no more; so it is when nobody watches (a pipe)")
    parser.add_argument("--json", action="store_true", help="as JSON, once")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took. Also settles whether there is a terminal to be live on."""
    options.watch = not (options.once or options.json) and sys.stdout.isatty()
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """One object per instance that runs. From now on @scribe measures more often, for a while."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host = parent.host
    if not parent.config.settings.sample:
        raise RefusedError("nothing is measured: sample = 0 in [supervisor]")
    instances = [i for i in chosen(parent, args, all_without_names=True) if i.run]
    tasks = report.status(parent.fleet, parent.config, instances, host.now(), host.stamp)
    samples = host.samples()
    report.measured(tasks, samples, host.now())
    more = {"threads": "threads", "read": "read_bytes_s", "written": "written_bytes_s", "switches": "switches_s"}
    for one in tasks:
        sample = samples["instances"][f"{one['task']}:{one['instance']}"] if one["processes"] is not None else {}
        one |= {name: sample.get(key) for key, name in (more | {"files": "files"}).items()}
    host.spool([{"watched": LOOKS}])
    client.answer({"tasks": tasks})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """A table, the greediest first."""
    tasks = sorted(answer["tasks"], key=_KEYS[options.sort])
    if options.json:
        screen.json({"tasks": tasks})
        return OK
    if options.watch:
        screen.line(f"by {options.sort}; keys: {', '.join(f'{key} {name}' for key, name in SORTS.items())}, q ends")
    if tasks and all(one["processes"] is None for one in tasks):
        screen.line("nothing is measured yet; the first figures come within seconds")
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
    """Until it is time for the next page, or a key was pressed. False: it was the one that ends it."""
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
    """Keys come at once and are not shown, until the end."""
    import atexit  # noqa: PLC0415
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    atexit.register(termios.tcsetattr, 0, termios.TCSADRAIN, termios.tcgetattr(0))
    tty.setcbreak(0, termios.TCSADRAIN)
