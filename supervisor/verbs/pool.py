"""`supctl pool`: the slots of pools; or hold a slot of one while a command runs."""

from __future__ import annotations

import os
import signal
import sys
import time

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, USAGE
from supervisor.verbs.arguments import COUNT, JSON, OPERATE, PATIENCE, STRINGS, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl pool
supctl pool gpu
supctl pool gpu --wait 5m -- python3 train.py"""

ROLE, ACTS, BOUND = OPERATE, True, True

ARGUMENTS = (
    Argument("name", "a pool", metavar="NAME", many="?"),
    Argument("wait", "how long to wait for the slot; 0: do not wait; default: without end", "--wait", kind=PATIENCE,
             metavar="DURATION"),
    Argument("slots", "how many slots to hold", "--slots", kind=COUNT, metavar="N", default=1),
    Argument("command", "the first word of the command that will hold the slot", kind=STRINGS),
    JSON,
)  # fmt: skip

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a command that cannot be executed, as a shell has them."""

LIMIT = 60.0
"""Seconds that a client waits for the next supervisor, if the one that it has asked is gone."""

PAUSE = 0.1
"""Seconds between two tries."""


def reads(args: Mapping[str, Any]) -> bool:
    """Return whether a request only asks for the table."""
    return not args.get("command")


def prepare(options: Namespace) -> None:
    """Take the words after --. Only the first one is sent, for people: the others may have secrets."""
    options.command = options.words[:1]
    if options.words and not options.name:
        raise RefusedError("which pool? supctl pool NAME -- COMMAND", USAGE)
    if not options.words and (options.wait is not None or options.slots != 1):
        raise RefusedError("--wait and --slots are for a command: supctl pool NAME -- COMMAND", USAGE)
    options.until = None if options.wait is None else time.monotonic() + options.wait
    options.lost_at = None


def again(options: Namespace, *, broken: bool) -> bool:
    """Wait for the next supervisor, if this one is gone before it has answered. Return False when that takes long."""
    now = time.monotonic()
    if broken:
        options.lost_at = now
    if not options.words or now - options.lost_at > LIMIT or (options.until is not None and now > options.until):
        return False
    time.sleep(PAUSE)
    if options.until is not None:
        options.wait = max(0.0, options.until - time.monotonic())
    return True


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer the table; or, when it is the turn of the client, that its process has the slots."""
    from math import inf  # noqa: PLC0415 - not in supctl

    from supervisor.core.definition import PoolShare  # noqa: PLC0415

    name, command = args["name"] or "", args["command"]
    if not command:
        client.answer({"pools": controls.pool_holders.table(name)})
        return
    patience = inf if args["wait"] is None else args["wait"]
    controls.pool_holders.ask(client, PoolShare(name, args["slots"]), command[0], patience)


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the table; or become the command, now that this process has the slots."""
    if options.words:
        return _execute(options.words, screen)
    if options.json:
        screen.json(answer)
    elif not answer["pools"]:
        screen.line("no pool is defined: [pool.NAME] slots = 1")
    elif options.name:
        _show(answer["pools"][0], screen)
    else:
        screen.table(("POOL", "SLOTS", "USED", "WAITING", "USED BY"), [_row(one) for one in answer["pools"]])
    return OK


def _row(pool: dict[str, Any]) -> tuple[str, ...]:
    holders = ", ".join(one["name"] for one in pool["holders"])
    return pool["name"], str(pool["slots"]), str(pool["used"]), str(len(pool["waiting"]) or "-"), holders or "-"


def _show(pool: dict[str, Any], screen: Screen) -> None:
    screen.line(f"pool {pool['name']}: {pool['used']} of {pool['slots']} slots are used")
    rows = [("has", one) for one in pool["holders"]] + [("waits for", one) for one in pool["waiting"]]
    if rows:
        head = ("NAME", "", "SLOTS", "SINCE", "PID", "RUN")
        screen.table(head, [(one["name"], how, str(one["slots"]), *_facts(one)) for how, one in rows])


def _facts(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(one[key] or "-") for key in ("since", "pid", "run"))


def _execute(words: list[str], screen: Screen) -> int:
    """Execute the command in this process. Return the exit code of a command that cannot be executed."""
    sys.stdout.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a command would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606 - it takes the place of this process, which has the slots
    except FileNotFoundError:
        why, code = "command not found", NOT_FOUND
    except OSError as error:
        why, code = error.strerror or str(error), NOT_EXECUTABLE
    screen.complain(f"supctl: cannot execute {words[0]}: {why}")
    return code
