"""The program `supervisor`: its arguments, and the order of its first steps.

The program imports nothing but the spawner before it forks the spawner. So the spawner stays small, and every fork is
cheap.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from supervisor.core.exits import FAILED, USAGE
from supervisor.host import lookup, stdio
from supervisor.spawn.reexec import HELD, VARIABLE, ReexecState, received

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

OWN_UMASK = 0o022
"""The umask of the supervisor and its helpers. The caller's umask is only for the tasks: with 077, for instance, tasks
of other users could not reach their notify sockets."""

HELP = """usage: supervisor [-c FILE] [--check | --sweep | --rehearse=DIRECTORY] [--version] [--help]

Run the tasks of a config as their parent process, in the foreground, until SIGTERM.

  -c FILE     the config; default: $SUPERVISOR_CONFIG, ./supervisor.toml, ./conf/supervisor.toml,
              /etc/supervisor/supervisor.toml, whichever exists first
  --check     check the config and exit: 0, or 78 with every error
  --sweep     kill the processes that a supervisor left when it ended, and exit; does nothing when
              $SERVICE_RESULT says that it crashed, as its successor takes over (systemd: ExecStopPost=)
  --rehearse=DIRECTORY   test this version, change nothing, and exit: import everything, check the config, read the
              journal of the supervisor that runs in DIRECTORY (`supctl upgrade` does this first)
  --version   print the version

example:
  supervisor -c conf/demo.toml       then, in another shell: supctl status
"""


def main() -> NoReturn:
    """Run the command line, and end with its exit code. An earlier program of this process may have executed it."""
    stdio.prepare()
    sys.exit(run(sys.argv[1:], received(os.environ.pop(VARIABLE, ""))))


def run(words: list[str], came: ReexecState | None = None) -> int:
    """Run one command line. Return the exit code."""
    try:
        explicit, mode = _arguments(words)
    except ValueError as error:
        sys.stderr.write(f"supervisor: {error}\n{HELP}")
        return USAGE
    except SystemExit:
        return 0
    if mode == "--check":
        from supervisor.program.check import check  # noqa: PLC0415 - the parent itself never loads it

        return check(explicit)
    if mode.startswith("--rehearse="):
        from supervisor.program.rehearsal import rehearse  # noqa: PLC0415

        return rehearse(explicit, mode.partition("=")[2])
    return supervise(explicit, came, sweep=mode == "--sweep")


def _arguments(words: list[str]) -> tuple[str | None, str]:
    """Return the named config, and the action to take instead of supervising, if any.

    The parser is written by hand, because argparse would stay in memory.

    Raises:
        ValueError: wrong usage.
        SystemExit: --help or --version is done.
    """
    explicit, mode = None, ""
    rest = iter(words)
    for word in rest:
        if word in ("-h", "--help"):
            sys.stdout.write(HELP)
            raise SystemExit
        if word == "--version":
            from supervisor.version import __version__  # noqa: PLC0415

            sys.stdout.write(f"supervisor {__version__}\n")
            raise SystemExit
        if word in ("--check", "--sweep") or word.startswith("--rehearse="):
            mode = word
        elif word in ("-c", "--config"):
            explicit = next(rest, None)
            if explicit is None:
                raise ValueError(f"{word} needs a FILE")
        elif word.startswith("--config="):
            explicit = word.partition("=")[2]
        else:
            raise ValueError(f"unknown argument {word!r}")
    return explicit, mode


def supervise(explicit: str | None, came: ReexecState | None = None, *, sweep: bool = False) -> int:
    """Start, supervise until the end, and return the exit code. With `sweep`, the shutdown begins at once."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)  # until the loop can handle them (`host.loop.Signals`)
    umask = os.umask(OWN_UMASK)
    if came:
        came.umask = umask  # an older program does not pass it on
    lookup.fill()
    try:
        from supervisor.host.aside import aside  # noqa: PLC0415
        from supervisor.spawn.spawning import Spawning  # noqa: PLC0415

        gc.freeze()  # a collection would write to every object, so that the spawner could not share its memory with us
        spawning = Spawning()
        spawning.spawner.umask = umask
        reading = aside(_prepare, (explicit,))  # meanwhile the rest is imported
        from supervisor.program import boot  # noqa: PLC0415
    except OSError as error:  # tasks of an earlier supervisor go on; our caller tries again
        sys.stderr.write(f"supervisor: cannot start, no process or file descriptor is available: {error.strerror}\n")
        return FAILED
    return boot.supervise(spawning, reading, came, sweep=sweep)


def _prepare(explicit: str | None) -> object:
    from supervisor.shell import offloaded  # noqa: PLC0415 - in the child

    return offloaded.prepare(explicit)
