"""The program `supervisor`: its arguments, and who is started first.

Nothing but the spawner is imported before the spawner is forked: so it stays small, and every fork cheap.
"""

from __future__ import annotations

import os
import signal
import sys

from supervisor.host.handover import HELD, VARIABLE, Trial, received

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FAILED = 1
EX_CONFIG = 78  # sysexits.h; systemd: RestartPreventExitStatus=78
USAGE = 2

HELP = """usage: supervisor [-c FILE] [--check | --sweep | --rehearse=DIRECTORY] [--version] [--help]

Run the tasks of a config as their parent process, in the foreground, until SIGTERM.

  -c FILE     the config; default: $SUPERVISOR_CONFIG, ./supervisor.toml, ./conf/supervisor.toml,
              /etc/supervisor/supervisor.toml, whichever exists first
  --check     check the config and exit: 0, or 78 with every error
  --sweep     kill what a supervisor that is no more has left running, and exit; does nothing when
              $SERVICE_RESULT says that it has crashed: its successor takes over (systemd: ExecStopPost=)
  --rehearse=DIRECTORY   import everything, check the config, read the journal of the supervisor that runs in
              DIRECTORY, change nothing, and exit: what `supctl upgrade` asks of a new version first
  --version   print the version

example:
  supervisor -c conf/demo.toml       then, in another shell: supctl status
"""


def main() -> NoReturn:
    """The entry point. After an exec by `supctl upgrade` the first seconds are a trial, see `host.handover`."""
    handover = received(os.environ.pop(VARIABLE, ""))
    if handover is None:
        sys.exit(run(sys.argv[1:]))
    trial = Trial(handover)
    sys.exit(trial.run(lambda: run(sys.argv[1:], trial)))


def run(words: list[str], trial: Trial | None = None) -> int:
    """One command line. Returns the exit code."""
    try:
        explicit, mode = _arguments(words)
    except ValueError as error:
        sys.stderr.write(f"supervisor: {error}\n{HELP}")
        return USAGE
    except SystemExit:
        return 0
    if mode == "--check":
        return check(explicit)
    if mode.startswith("--rehearse="):
        from supervisor.rehearsal import rehearse  # noqa: PLC0415

        return rehearse(explicit, mode.partition("=")[2])
    return supervise(explicit, trial, sweep=mode == "--sweep")


def _arguments(words: list[str]) -> tuple[str | None, str]:
    """The config that was named, and what to do instead of supervising, if anything.

    By hand: argparse would stay in memory.

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


def check(explicit: str | None) -> int:
    """Checks the config, and says what came of it. Returns the exit code."""
    from supervisor.config import ConfigErrors, find, load  # noqa: PLC0415 - the parent itself never loads it

    try:
        path, _why = find(explicit, os.environ)
        config = load(path, beforehand=True)
    except ConfigErrors as errors:
        sys.stderr.write("".join(f"{error}\n" for error in errors.errors))
        return EX_CONFIG
    sys.stderr.write("".join(f"warning: {text}\n" for text in config.warnings))
    sys.stdout.write(f"{path}: ok, {len(config.tasks)} task{'' if len(config.tasks) == 1 else 's'}\n")
    return 0


def supervise(explicit: str | None, trial: Trial | None = None, *, sweep: bool = False) -> int:
    """Comes up, supervises until the end, and returns the exit code. `sweep`: the end begins at once."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)  # they wait until somebody can obey (`host.loop.Signals`)
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # started without stdin, stdout or stderr
        os.set_inheritable(fd, True)
    os.close(fd)
    from supervisor.host.aside import aside  # noqa: PLC0415
    from supervisor.host.spawner import Spawner  # noqa: PLC0415

    try:
        spawner = Spawner()
        reading = aside(_prepare, (explicit,))  # meanwhile the rest is imported
    except OSError as error:  # tasks of an earlier supervisor go on; who has started us tries again
        sys.stderr.write(f"supervisor: cannot start, no process or descriptor is to be had: {error.strerror}\n")
        return FAILED
    from supervisor import boot  # noqa: PLC0415

    return boot.supervise(spawner, reading, trial, sweep=sweep)


def _prepare(explicit: str | None) -> object:
    from supervisor import errands  # noqa: PLC0415 - in the child

    return errands.prepare(explicit)
