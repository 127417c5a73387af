"""What happens in a child between fork and exec.

The steps are a table, in the order in which they are done; the name of the step is what a person reads when it
fails: "cannot start web: chdir /srv/app: No such file or directory". Everything that may block or fail (opening log
files, looking up a user, reading environment files) is done here, in the child. What can be worked out without I/O
is worked out before the fork (`Setup`): each page that a child writes to costs it 5 µs, and Python writes to
the page of every object that it looks at.

The last step but one is to wait for the go byte: the parent sends it when the record of this child is
written. If the parent dies first, the child ends without having run anything of the task (crash-only).

See credentials(7), setsid(2), execve(2); the order of user and directory follows systemd.exec(5).
"""

from __future__ import annotations

import ctypes
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:  # the spawner must stay small
    from collections.abc import Callable
    from pwd import struct_passwd
    from typing import NoReturn, TypedDict

    class Spec(TypedDict):
        """A launch as plain values, as it is sent to the spawner."""

        title: str
        helper: bool
        command: tuple[str, ...]
        python: str | None
        stop_signal: str
        directory: str | None
        user: str | None
        umask: int | None
        inherit_environment: bool
        environment: dict[str, str]
        environment_file: tuple[str, ...]
        order: dict[str, str]
        own: dict[str, str]
        out: str
        err: str
        fifos: bool


OWN_VARIABLES = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID",
    "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY",
)  # fmt: skip
"""What the service manager told the supervisor about itself; a task must not take it for its own."""

_libc = ctypes.CDLL(None, use_errno=True)


class StepError(Exception):
    """A step failed for a reason that is no OSError."""


class Setup:
    """One launch: what is known before the fork, and the steps after it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.late = bool(spec["environment_file"] or spec["user"])  # the environment needs I/O
        self.environment = {} if self.late else self._variables({}, {})
        self.program = None if self.late or spec["python"] else Program(spec["command"], self.environment)

    def steps(self) -> tuple[tuple[str, Callable[[], object]], ...]:
        """Name and function of each step, in order."""
        return (
            ("setsid", os.setsid),
            ("reset signals", self.signals),
            ("open output", self.output),
            ("set umask", self.umask),
            ("read environment_file", self.variables),
            ("become user", self.user),
            ("chdir", self.directory),
        )

    def signals(self) -> None:
        """What the spawner ignores. Everything else is at its default there, and no signal is blocked."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    def output(self) -> None:
        """Descriptors 0, 1 and 2."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        if self.spec["helper"]:  # speaks through the supervisor's own stdout and stderr
            return
        out, err = self.spec["out"], self.spec["err"]
        fd = self._open(out) if out else null
        os.dup2(fd, 1)
        os.dup2(fd if err == out else self._open(err) if err else null, 2)

    def _open(self, path: str) -> int:
        """A FIFO is opened read-write, so that it outlives its readers; a file is appended to."""
        flags = os.O_RDWR if self.spec["fifos"] else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        fd = os.open(path, flags | os.O_NOCTTY, 0o640)
        if self.spec["user"] is not None:  # so that the task can open /dev/stdout again
            os.fchown(fd, _entry(self.spec["user"]).pw_uid, -1)
        return fd

    def umask(self) -> None:
        """The task's, or the supervisor's own."""
        if self.spec["umask"] is not None:
            os.umask(self.spec["umask"])

    def variables(self) -> None:
        """The environment, if it could not be made before the fork."""
        if self.late:
            files: dict[str, str] = {}
            for path in self.spec["environment_file"]:
                files |= read_environment_file(path)
            self.environment = self._variables(_of_user(self.spec["user"]) if self.spec["user"] else {}, files)

    def _variables(self, user: dict[str, str], files: dict[str, str]) -> dict[str, str]:
        """The supervisor's, the user's, the files', the task's, the order's and our own; a later one wins."""
        spec = self.spec
        inherited = dict(os.environ) if spec["inherit_environment"] else {}
        for name in OWN_VARIABLES:
            inherited.pop(name, None)
        task = {name: fill(value, spec["own"]) for name, value in spec["environment"].items()}
        return {**inherited, **user, **files, **task, **spec["order"], **spec["own"]}

    def user(self) -> None:
        """Group, supplementary groups and user, as the password database says now."""
        if self.spec["user"] is None:
            return
        entry = _entry(self.spec["user"])
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    def directory(self) -> None:
        """Entered as the user, who may see less than root does, or more (NFS)."""
        if self.spec["directory"]:
            os.chdir(self.spec["directory"])


class Program:
    """argv, envp and the places to look for the file, as execve(2) wants them: nothing is left to do in the child."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
        words = [os.fsencode(fill(word, environment)) for word in command]
        self.name = os.fsdecode(words[0])
        folders = [""] if b"/" in words[0] else environment.get("PATH", os.defpath).split(":")
        self._files = [os.path.join(os.fsencode(folder), words[0]) for folder in folders]
        variables = [os.fsencode(f"{name}={value}") for name, value in environment.items()]
        self._argv = (ctypes.c_char_p * (len(words) + 1))(*words)
        self._envp = (ctypes.c_char_p * (len(variables) + 1))(*variables)

    def execute(self) -> None:
        """Becomes the program; as execvp(3), a file that may not be executed is passed over for a later one.

        Raises:
            OSError: always, when it returns at all; the text says what is wrong with the file.
        """
        failure = 2
        for file in self._files:
            _libc.execve(file, self._argv, self._envp)
            error = ctypes.get_errno()
            if error not in (2, 20):  # ENOENT, ENOTDIR
                failure = error
                if error != 13:  # EACCES
                    break
        raise OSError(failure, self._complaint(failure), self.name)

    def _complaint(self, error: int) -> str:
        if "/" in self.name and error == 2 and os.path.exists(self.name):
            return "the interpreter in its first line does not exist"
        if "/" in self.name and os.path.isdir(self.name):
            return "is a directory"
        return "not a program: it has no #! line" if error == 8 else os.strerror(error)


def become(setup: Setup, channel: int) -> NoReturn:
    """Does every step, waits for the go byte on the channel, and becomes the program. Never returns.

    What fails is told over the channel, in words; an exec that succeeds closes it.
    """
    step = ""
    try:
        for name, act in setup.steps():
            step = name
            act()
        if setup.late and not setup.spec["python"]:
            setup.program = Program(setup.spec["command"], setup.environment)
        step = "wait"
        if os.read(channel, 1) != b"g":
            os._exit(0)
        step = "exec"
        if setup.program:
            setup.program.execute()
        _call(setup, channel)
    except OSError as error:
        what = f" {error.filename}" if error.filename else ""
        _report(channel, f"{step}{what}: {error.strerror or error}")
    except BaseException as error:  # noqa: BLE001 - a child must never run on as a second spawner
        _report(channel, f"{step}: {error}")
    os._exit(127)


def _call(setup: Setup, channel: int) -> None:
    """Runs the Python callable of a task in this very process."""
    from setproctitle import setproctitle  # noqa: PLC0415 - only in a child

    from supervisor import task  # noqa: PLC0415

    spec = setup.spec
    setproctitle(f"supervisor: {spec['title']}")  # while the environment is where the kernel put it
    os.environ.clear()
    os.environ.update(setup.environment)
    os.close(channel)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    task.run(spec["python"] or "", [fill(w, spec["own"]) for w in spec["command"]], spec["stop_signal"])


def _report(channel: int, text: str) -> None:
    try:
        os.write(channel, text.encode(errors="replace")[:4000])
    except OSError:
        return


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
