"""A supervisor that kills itself with SIGKILL at a named step: `DIE_AT=fork:after:2 python dying.py -c FILE`.

The steps are the calls of the parent to its host, and those of its start; before or after the n-th call. The program
under test is unchanged. `upgraded/adopt:before:1` is for the program after an upgrade.
"""

import os
import signal

from supervisor.control import server
from supervisor.shell import linux, runtime_dir
from supervisor.spawn import reexec
from supervisor.store import journal

STEPS = {
    "take": (runtime_dir.RuntimeDir, "__init__"),
    "journal": (journal.Journal, "__init__"),
    "listen": (server.Server, "listen"),
    "adopt": (linux.Linux, "adopt"),
    "settled": (linux.Linux, "finish_takeover"),
    "fork": (linux.Linux, "fork"),
    "remember": (linux.Linux, "remember"),
    "write": (os, "write"),
    "go": (linux.Linux, "send_go"),
    "terminate": (linux.Linux, "terminate"),
    "destroy": (linux.Linux, "destroy"),
    "errand": (linux.Linux, "errand"),
    "notify": (linux.Linux, "notify"),
    "send": (linux.Linux, "send"),
    "title": (linux.Linux, "title"),
    "leave": (linux.Linux, "prepare_exec"),
    "execute": (reexec.ReexecState, "execute"),
    "inherit": (server.Server, "inherit"),
    "rename": (os, "rename"),
}


def die_at(text: str) -> None:
    """Replace a function by one that kills the process."""
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
    from supervisor.program.main import main

    step = os.environ.get("DIE_AT", "").removeprefix("upgraded/" if reexec.VARIABLE in os.environ else "")
    if step and not step.startswith("upgraded/"):
        del os.environ["DIE_AT"]
        die_at(step)
    main()
