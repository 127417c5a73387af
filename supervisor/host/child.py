"""What happens in a child between fork and exec.

The steps are a table, in the order in which they are done; the name of the step is what a person reads when it
fails: "cannot start web: chdir /srv/app: No such file or directory". Everything that may block or fail (opening log
files, looking up a user, reading environment files) is done here, in the child. What can be worked out without I/O
is worked out before, by the parent: each page that a child writes to costs it 5 µs, and Python writes to the page of
every object that it looks at. So the steps here touch as little as they can.

The last step but one is to wait for the go byte: the parent sends it when the record of this child is
written. If the parent dies first, the child ends without having run anything of the task (crash-only).

See credentials(7), setsid(2), execve(2); the order of user and directory follows systemd.exec(5).
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
from _signal import SIG_SETMASK, pthread_sigmask  # type: ignore[import-not-found]  # `signal` makes enums of them

from supervisor.host import mark

TYPE_CHECKING = False
if TYPE_CHECKING:  # the spawner must stay small
    from collections.abc import Callable
    from pwd import struct_passwd
    from typing import Any, NoReturn, TypedDict

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
        environment: dict[str, str]  # the task's, the order's and our own
        environment_file: tuple[str, ...]
        out: str
        err: str
        ear: str  # the notify socket that is to be for its user alone; "": for everybody, or there is none
        mark: int  # of the run
        bound: bool  # ends with the supervisor: a question that nobody waits for any more
        no_new_privileges: bool
        confine: dict[str, Any] | None  # what `confine` needs; None: nothing


OWN_VARIABLES = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID",
    "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY", "CREDENTIALS_DIRECTORY",
)  # fmt: skip
"""What the service manager told the supervisor about itself; a task must not take it for its own."""


VARIABLES = (
    "SUPERVISOR_TASK", "SUPERVISOR_INSTANCE", "SUPERVISOR_REPLICAS", "SUPERVISOR_RUN",
    "SUPERVISOR_TRIGGER", "SUPERVISOR_ATTEMPT", "SUPERVISOR_LAST_EXIT", "SUPERVISOR_SOCKET",
)  # fmt: skip
"""What each task gets to know of itself: its values are in the launch."""


_libc = ctypes.CDLL(None, use_errno=True)
_getenv = _libc.getenv
_getenv.restype = ctypes.c_char_p

PR_SET_NO_NEW_PRIVS = 38


class StepError(Exception):
    """A step failed for a reason that is no OSError."""


def get_ready() -> str:
    """Does what can be done before the launch is known. Returns what failed, in words, or "" if nothing did."""
    step = ""
    try:
        for step, act in AHEAD:  # noqa: B007 - it is told when one fails
            act()
    except OSError as error:
        return f"{step}: {error.strerror or error}"
    return ""


def become(spec: Spec, channel: int, failure: str = "") -> NoReturn:
    """Does every step, waits for the go byte on the channel, and becomes the program. Never returns.

    What fails, or has failed before, is told over the channel, in words; an exec that succeeds closes it.
    """
    step = ""
    try:
        if failure:
            raise StepError(failure)
        for step, act in _confined() if spec["confine"] else STEPS:  # noqa: B007 - it is told when one fails
            act(spec)
        step = "wait"
        if os.read(channel, 1) != b"g":
            os._exit(0)
        if spec["python"]:
            _call(spec, channel)
        step = "exec"
        _execute(spec)
    except OSError as error:
        what = f" {error.filename}" if error.filename else ""
        _report(channel, f"{step}{what}: {error.strerror or error}")
    except BaseException as error:  # noqa: BLE001 - a child must never run on as a second spawner
        _report(channel, f"{step}: {error}" if step else str(error))
    os._exit(127)


def _session() -> None:
    """A session and process group of its own, so that a signal can reach all of the run."""
    os.setsid()


def _mark(spec: Spec) -> None:
    """By which the run's processes are known."""
    mark.put(spec["mark"])


def _signals() -> None:
    """The spawner blocks some; what was sent meanwhile arrives now. Their dispositions are the default there, too."""
    pthread_sigmask(SIG_SETMASK, ())


def _title(spec: Spec) -> None:
    """Of a Python task, which no exec gives another one; while the environment is where the kernel put it."""
    if spec["python"]:
        gc.enable()
        ctypes.pythonapi.PyOS_BeforeFork()
        ctypes.pythonapi.PyOS_AfterFork_Child()  # the interpreter goes on: what the spawner left out is done now
        from supervisor.host import title  # noqa: PLC0415 - only in a child

        title.show(f"supervisor: {spec['title']}")


def _input() -> None:
    """Descriptor 0."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)


def _output(spec: Spec) -> None:
    """Descriptors 1 and 2."""
    if spec["helper"]:  # speaks through the supervisor's own stdout and stderr
        return
    null = os.open(os.devnull, os.O_RDWR)
    out, err = spec["out"], spec["err"]
    fd = _open(spec, out) if out else null
    os.dup2(fd, 1)
    os.dup2(fd if err == out else _open(spec, err) if err else null, 2)


def _open(spec: Spec, path: str) -> int:
    """A FIFO is opened read-write, so that it outlives its readers.

    It is given to the task's user, so that the task can open /dev/stdout again.
    """
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW)
    if spec["user"] and not os.geteuid():
        os.fchown(fd, entry_of(spec["user"]).pw_uid, -1)
    return fd


def _ear(spec: Spec) -> None:
    """The socket is not for strangers, who are not believed, but could keep the task from being heard."""
    if spec["ear"] and spec["user"] and not os.geteuid():
        os.chown(spec["ear"], entry_of(spec["user"]).pw_uid, -1)
        os.chmod(spec["ear"], 0o600)


def _umask(spec: Spec) -> None:
    if spec["umask"] is not None:
        os.umask(spec["umask"])


def _variables(spec: Spec) -> None:
    """The supervisor's own environment is there; the user's, the files', the task's, and ours come on top of it.

    Only what differs is touched; os.environ follows for a Python task only, as nobody else would see it.
    """
    if not spec["inherit_environment"]:
        os.environ.clear()
    put = os.environ.__setitem__ if spec["python"] else os.putenv
    if spec["user"]:
        _put(put, _of_user(spec["user"]))
    for path in spec["environment_file"]:
        _put(put, read_environment_file(path))
    _put(put, spec["environment"])
    if "WATCHDOG_USEC" in spec["environment"]:
        put("WATCHDOG_PID", str(os.getpid()))


def _put(put: Callable[[str, str], None], variables: dict[str, str]) -> None:
    for name, value in variables.items():
        put(name, value)


def _user(spec: Spec) -> None:
    """Group, supplementary groups and user, as the password database says now."""
    if spec["user"]:
        entry = entry_of(spec["user"])
        if os.geteuid() and (entry.pw_uid, entry.pw_gid) == (os.geteuid(), os.getegid()):
            return  # it is who we are already, and only root could change anything
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)


def _bound(spec: Spec) -> None:
    """After the change of the user, which undoes it (prctl(2), PR_SET_PDEATHSIG)."""
    if spec["bound"]:
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)


def _directory(spec: Spec) -> None:
    """Entered as the user, who may see less than root does, or more (NFS)."""
    if spec["directory"]:
        os.chdir(spec["directory"])


def _no_new_privileges(spec: Spec) -> None:
    """From now on no exec gives more than there is: set-user-ID bits and capabilities of files do nothing."""
    if spec["no_new_privileges"] and _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


AHEAD = (
    ("setsid", _session),
    ("open /dev/null", _input),
    ("reset signals", _signals),
)

AS_ROOT = (
    ("mark", _mark),
    ("set title", _title),
    ("open output", _output),
    ("give notify socket", _ear),
    ("set umask", _umask),
    ("read environment_file", _variables),
)

AS_USER = (
    ("chdir", _directory),
    ("bind to the supervisor", _bound),
    ("set no_new_privileges", _no_new_privileges),
)

STEPS = (*AS_ROOT, ("become user", _user), *AS_USER)


def _confined() -> tuple[tuple[str, Callable[[Spec], None]], ...]:
    """The steps of a child that has limits or a security context, which most have not."""
    from supervisor.host import confine  # noqa: PLC0415 - only in a child that needs it

    return confine.around(AS_ROOT, AS_USER)


def _execute(spec: Spec) -> None:
    """As execvp(3): a file that may not be executed is passed over for a later one in PATH.

    Raises:
        OSError: always, when it returns at all; the text says what is wrong with the file.
    """
    words = spec["command"]
    name, failure = words[0], errno.ENOENT
    for folder in ("",) if "/" in name else _path().split(":"):
        try:
            os.execv(os.path.join(folder, name) if folder else name, words)  # noqa: S606 - no shell is wanted
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                continue
            failure = error.errno or failure
            if failure != errno.EACCES:
                break
    raise OSError(failure, _complaint(name, failure), name)


def _path() -> str:
    """PATH as the program will have it, which os.environ does not know."""
    value: bytes | None = _getenv(b"PATH")
    return os.defpath if value is None else os.fsdecode(value)


def _complaint(name: str, error: int) -> str:
    if error == errno.ENOENT and "/" in name and os.path.exists(name):
        return "the interpreter in its first line does not exist"
    if "/" in name and os.path.isdir(name):
        return "is a directory"
    return "not a program: it has no #! line" if error == errno.ENOEXEC else os.strerror(error)


def _call(spec: Spec, channel: int) -> None:
    """Runs the Python callable of a task in this very process."""
    from supervisor import task  # noqa: PLC0415 - only in a child

    os.close(channel)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    task.run(spec["python"] or "", list(spec["command"]), spec["stop_signal"])


def _report(channel: int, text: str) -> None:
    try:
        os.write(channel, text.encode(errors="replace")[:4000])
    except OSError:
        return


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


def entry_of(user: str) -> struct_passwd:
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
    entry = entry_of(user)
    return {"HOME": entry.pw_dir, "USER": user, "LOGNAME": user, "SHELL": entry.pw_shell}
