"""A supervisor that kills itself with SIGKILL at a named step: `DIE_AT=fork:after:2 python dying.py -c FILE`.

The steps are the calls of the parent to its host, and those of coming up; before or after the n-th call of one.
The program itself knows nothing of it. `upgraded/adopt:before:1` is meant for the program that an upgrade has executed.
"""

import os
import signal

from supervisor import premises
from supervisor.control import server
from supervisor.host import handover, linux
from supervisor.store import records

STEPS = {
    "take": (premises.Premises, "__init__"),
    "journal": (records.Journal, "__init__"),
    "listen": (server.Server, "listen"),
    "adopt": (linux.Linux, "adopt"),
    "settled": (linux.Linux, "settled"),
    "fork": (linux.Linux, "fork"),
    "remember": (linux.Linux, "remember"),
    "write": (os, "write"),
    "go": (linux.Linux, "go"),
    "terminate": (linux.Linux, "terminate"),
    "destroy": (linux.Linux, "destroy"),
    "errand": (linux.Linux, "errand"),
    "notify": (linux.Linux, "notify"),
    "title": (linux.Linux, "title"),
    "leave": (linux.Linux, "leave"),
    "execute": (handover.Handover, "execute"),
    "inherit": (server.Server, "inherit"),
    "rename": (os, "rename"),
}


def die_at(text: str) -> None:
    """Replaces one function by one that dies."""
    name, when, count = text.split(":")
    where, what = STEPS[name]
    act, mine = getattr(where, what), os.getpid()
    left = int(count)

    def dying(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= os.getpid() == mine
        if left or os.getpid() != mine:
            return act(*arguments, **options)
        if when == "after":
            act(*arguments, **options)
        return os.kill(mine, signal.SIGKILL)

    setattr(where, what, dying)


if __name__ == "__main__":
    from supervisor.app import main

    step = os.environ.get("DIE_AT", "").removeprefix("upgraded/" if handover.VARIABLE in os.environ else "")
    if step and not step.startswith("upgraded/"):
        del os.environ["DIE_AT"]
        die_at(step)
    main()
