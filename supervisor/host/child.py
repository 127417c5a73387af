"""What happens in a child between fork and exec.

The steps are a table, in the order in which they are done; the name of the step is what a person reads when it
fails: "cannot start web: chdir /srv/app: No such file or directory". Everything that may block or fail (opening log
files, looking up a user, reading environment files) is done here, in the child, never in the parent.

The last step but one is to wait for the go byte: the parent sends it when the record of this child is
written. If the parent dies first, the child ends without having run anything of the task (crash-only).

See credentials(7), setsid(2), execve(2); the order of user and directory follows systemd.exec(5).
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from supervisor.host.interface import Launch

if TYPE_CHECKING:
    from pwd import struct_passwd

OWN_VARIABLES = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID",
    "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY",
)  # fmt: skip
"""What the service manager told the supervisor about itself; a task must not take it for its own."""


class StepError(Exception):
    """A step failed for a reason that is no OSError."""


class Setup:
    """The steps of one launch, and what they leave for the next ones."""

    def __init__(
        self, launch: Launch, open_files: tuple[int, int], oom_score: str, signals: tuple[signal.Signals, ...]
    ) -> None:
        """What the supervisor changed of itself or was given: its limit of descriptors, OOM score, signal handlers."""
        self.changed_signals = signals
        self.launch = launch
        self.task = launch.task
        self.open_files = open_files
        self.oom_score = oom_score
        self.environment: dict[str, str] = {}

    def steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        """Name and function of each step, in order."""
        return (
            ("setsid", self.session),
            ("reset signals", self.signals),
            ("reset limits", self.limits),
            ("open output", self.output),
            ("set umask", self.umask),
            ("read environment_file", self.variables),
            ("become user", self.user),
            ("chdir", self.directory),
        )

    def session(self) -> None:
        """A session and process group of its own, so that a signal can reach all of the run."""
        os.setsid()

    def signals(self) -> None:
        """Default dispositions and an empty mask; what was sent meanwhile arrives now."""
        for number in self.changed_signals:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def limits(self) -> None:
        """The parent's raised descriptor limit and its protection from the OOM killer are its own."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self.open_files)
        if self.oom_score != "0":
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("0")

    def output(self) -> None:
        """Descriptors 0, 1 and 2."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        if self.task.helper:  # speaks through the supervisor's own stdout and stderr
            os.set_inheritable(1, True)
            os.set_inheritable(2, True)
            return
        out, err = output_paths(self.launch)
        fd = self._open(out) if out else null
        os.dup2(fd, 1)
        os.dup2(fd if err == out else self._open(err) if err else null, 2)

    def _open(self, path: str) -> int:
        """A FIFO is opened read-write, so that it outlives its readers; a file is appended to."""
        flags = os.O_RDWR if path.startswith(self.launch.runtime_dir + "/") else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        fd = os.open(path, flags | os.O_NOCTTY, 0o640)
        if self.task.user is not None:  # so that the task can open /dev/stdout again
            os.fchown(fd, _entry(self.task.user).pw_uid, -1)
        return fd

    def umask(self) -> None:
        """The task's, or the supervisor's own."""
        if self.task.umask is not None:
            os.umask(self.task.umask)

    def variables(self) -> None:
        """The environment: the supervisor's, the user's, its files', the task's, the order's, and our own."""
        task, run = self.task, self.launch.run
        environment = dict(os.environ) if task.inherit_environment else {}
        for name in OWN_VARIABLES:
            environment.pop(name, None)
        if task.user is not None:
            environment |= _of_user(task.user)
        own = {
            "SUPERVISOR_TASK": task.name,
            "SUPERVISOR_INSTANCE": str(self.launch.index),
            "SUPERVISOR_REPLICAS": str(task.replicas),
            "SUPERVISOR_RUN": run.id,
            "SUPERVISOR_TRIGGER": run.trigger,
            "SUPERVISOR_ATTEMPT": str(run.attempt),
            "SUPERVISOR_LAST_EXIT": self.launch.last_exit,
            "SUPERVISOR_SOCKET": f"{self.launch.runtime_dir}/supervisor.sock",
        }
        for path in task.environment_file:
            environment |= read_environment_file(path)
        environment |= {name: fill(value, own) for name, value in task.environment.items()}
        if run.order:
            environment |= dict(run.order.environment)
        self.environment = environment | own

    def user(self) -> None:
        """Group, supplementary groups and user, as the password database says now."""
        if self.task.user is None:
            return
        entry = _entry(self.task.user)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    def directory(self) -> None:
        """Entered as the user, who may see less than root does, or more (NFS)."""
        if self.task.directory:
            os.chdir(self.task.directory)

    def command(self) -> list[str]:
        """The words of the program, with what only this instance knows filled in."""
        extra = self.launch.run.order.arguments if self.launch.run.order else ()
        return [*(fill(word, self.environment) for word in self.task.command), *extra]


def become(setup: Setup, go: Callable[[], bool], report: Callable[[str], None], call: Callable[[], None]) -> NoReturn:
    """Does every step, waits for `go`, and becomes the program. Never returns.

    Args:
        setup: what to do.
        go: waits; False when the parent has died.
        report: tells the parent which step failed.
        call: runs the Python callable of a task that has one, instead of a program.
    """
    step = ""
    try:
        for name, act in setup.steps():
            step = name
            act()
        step = "wait"
        if not go():
            os._exit(0)
        if setup.task.python:
            os.environ.clear()
            os.environ.update(setup.environment)
            call()
        else:
            step = "exec"
            _execute(setup.command(), setup.environment)
    except OSError as error:
        what = f" {error.filename}" if error.filename else ""
        report(f"{step}{what}: {error.strerror or error}")
    except BaseException as error:  # noqa: BLE001 - a child must never run on as a second parent
        report(f"{step}: {error}")
    os._exit(127)


def _execute(words: list[str], environment: dict[str, str]) -> None:
    """execvpe(3), with errors that say what is wrong with the file.

    Raises:
        OSError: always, when it returns at all.
    """
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606 - no shell is wanted
    except FileNotFoundError as error:
        if "/" in words[0] and os.path.exists(words[0]):
            raise OSError(error.errno, "the interpreter in its first line does not exist", words[0]) from None
        raise OSError(error.errno, error.strerror, words[0]) from None
    except OSError as error:
        text = "not a program: it has no #! line" if error.strerror == "Exec format error" else error.strerror
        if os.path.isdir(words[0]):
            text = "is a directory"
        raise OSError(error.errno, text, words[0]) from None


def output_paths(launch: Launch) -> tuple[str, str]:
    """Where stdout and stderr of a launch go: absolute paths, "" for nowhere."""
    log, task = launch.task.log, launch.task
    name = task.name if launch.index == 1 else launch.key
    if log.to == "inherit":
        out, err = fifo_paths(launch.runtime_dir, launch.key)
        return out, "" if log.stderr == "none" else err
    out = {"file": f"{launch.log_dir}/{name}.log", "none": ""}.get(log.to, log.to)
    if log.stderr == "none" or not out:
        return out, ""
    root, extension = os.path.splitext(out)
    return out, out if log.stderr == "merged" else f"{root}.err{extension}"


def fifo_paths(runtime_dir: str, key: str) -> tuple[str, str]:
    """The FIFOs of an instance whose output @scribe reads: stdout, stderr."""
    return f"{runtime_dir}/output/{key}.out", f"{runtime_dir}/output/{key}.err"


def fill(text: str, values: dict[str, str]) -> str:
    """Replaces ${SUPERVISOR_INSTANCE} and its kind, which the config could not know yet."""
    if "${SUPERVISOR_" not in text:
        return text
    for name, value in values.items():
        if name.startswith("SUPERVISOR_"):
            text = text.replace(f"${{{name}}}", value)
    return text


def read_environment_file(path: str) -> dict[str, str]:
    """KEY=VALUE lines; blank lines and those that begin with # or ; are skipped, one pair of quotes is taken off.

    As systemd.exec(5) EnvironmentFile=, without its line continuations. A leading "-" of the path: may be missing.

    Raises:
        OSError: it cannot be read.
        StepError: a line is not KEY=VALUE.
    """
    missing_ok, path = path.startswith("-"), path.removeprefix("-")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        if missing_ok:
            return {}
        raise
    found = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip() or "\0" in line:
            raise StepError(f"{path}:{number}: not KEY=VALUE")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name.strip()] = value
    return found


def _entry(user: str) -> struct_passwd:
    """The password database's entry.

    Raises:
        StepError: there is no such user (any more).
    """
    import pwd  # noqa: PLC0415 - only in a child: a look-up may load modules and ask the network

    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise StepError(f"no user {user!r}") from None


def _of_user(user: str) -> dict[str, str]:
    """HOME, USER, LOGNAME and SHELL, as systemd sets them with User=."""
    entry = _entry(user)
    return {"HOME": entry.pw_dir, "USER": user, "LOGNAME": user, "SHELL": entry.pw_shell}
