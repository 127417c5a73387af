"""Run the steps of a child between fork and exec.

A table lists the steps in the order in which the child does them. When a step fails, the error names it:
"cannot start web: chdir /srv/app: No such file or directory".

The child does everything that may block or fail: it opens log files, looks up a user, reads environment files. The
parent computes beforehand whatever needs no I/O. Each page that a child writes to costs it 5 µs. Python writes to the
page of every object that it looks at. So the steps touch as little memory as they can.

This module imports all of the package that a child may need, also what most children do not need. Another version may
be installed while the supervisor runs. A module that a child imports then would not fit those that are loaded.

In the last step but one the child waits for the go byte. The parent sends it when the record of this child is
written. If the parent dies first, the child ends and has run nothing of the task (crash-only).

See credentials(7), setsid(2), execve(2). The order of user and directory follows systemd.exec(5).
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import sys
from _signal import SIG_BLOCK, SIG_SETMASK, SIGTERM, pthread_sigmask  # type: ignore[import-not-found]  # `signal` makes enums of them
from os import dup2, execv, putenv, read, setsid, umask  # `os.read` would write to the cache of attributes
from os import open as open_file

from supervisor import task
from supervisor.host import mark, title
from supervisor.host.step import SCARCE, StepError, entry_of
from supervisor.sandbox import steps as sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:  # the spawner must stay small
    from collections.abc import Callable
    from typing import NoReturn

    from supervisor.host.step import Spec, Step


OWN_VARIABLES = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID",
    "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY", "CREDENTIALS_DIRECTORY",
)  # fmt: skip
"""Variables that the service manager sets for the supervisor. A task must not take them for its own."""


OF_A_FIRING = ("SUPERVISOR_DUE", "SUPERVISOR_MISSED", "SUPERVISOR_RESUME")
"""Variables of a run that a trigger has fired. A supervisor that is such a run must not pass them on."""

VARIABLES = (
    "SUPERVISOR_TASK", "SUPERVISOR_INSTANCE", "SUPERVISOR_REPLICAS", "SUPERVISOR_RUN",
    "SUPERVISOR_TRIGGER", "SUPERVISOR_ATTEMPT", "SUPERVISOR_LAST_EXIT", "SUPERVISOR_SOCKET",
)  # fmt: skip
"""Variables that tell each task about itself. The launch has their values."""


_libc = ctypes.CDLL(None, use_errno=True)
_getenv = _libc.getenv
_getenv.restype = ctypes.c_char_p

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

USER = b"\0"
"""The byte before the user id, if the child has a user of its own. Only the child looks up the user."""


LACKS = b"\1"
"""The byte before the reason of a failure, if the child lacked a resource (`step.SCARCE`)."""


def split_report(data: bytes | None) -> tuple[int, bytes | None]:
    """Split the data of a child's channel into its user id (-1 if it sent none) and the reason why it failed."""
    if not data or not data.startswith(USER):
        return -1, data
    return int.from_bytes(data[1:5], "little"), data[5:]


def reason(text: bytes) -> tuple[str, bool]:
    """Return why a child failed, in words, and whether it lacked a resource."""
    return text.removeprefix(LACKS).decode(errors="backslashreplace"), text.startswith(LACKS)


NEVER_BEGAN = 75
"""The exit code of a child whose parent closed its socket before the go byte (EX_TEMPFAIL of sysexits.h).

The program never ran, so the code must not look like success. The next supervisor can learn it from the kernel.
"""


def become(spec: Spec, channel: int) -> NoReturn:
    """Do every step, wait for the go byte on the channel, and become the program. Never return.

    The child sends any error over the channel as text. An exec that succeeds closes the channel.
    """
    step = ""
    try:
        for step, key, act in sandbox.around(AS_ROOT, AS_USER) if spec["confine"] else STEPS:  # noqa: B007 - the error names it
            if not key or spec[key]:  # type: ignore[literal-required]
                act(spec)
        step = "wait"
        if spec["user"]:
            os.write(channel, USER + os.getuid().to_bytes(4, "little"))
        if read(channel, 1) != b"g":
            os._exit(NEVER_BEGAN)
        if spec["begins"]:
            step = "note that it begins"
            _mark_begun(spec)
        if spec["python"]:
            _call(spec, channel)
        step = "exec"
        _execute(spec)
    except OSError as error:
        what = f" {error.filename}" if error.filename else ""
        _report(channel, f"{step}{what}: {error.strerror or error}", scarce=error.errno in SCARCE)
    except BaseException as error:  # noqa: BLE001 - a child must never run on as a second spawner
        _report(channel, f"{step}: {error}" if step else str(error), scarce=isinstance(error, MemoryError))
    os._exit(127)


def _mark(spec: Spec) -> None:
    """Set the mark by which the supervisor recognizes the run's processes."""
    mark.set_own(spec["mark"])


def _make_note(spec: Spec) -> None:
    """Make the file in which the child notes that it begins, as long as it may.

    The file has the run and one byte more. To note the beginning is to cut that byte off: a full disk does not prevent
    it, nor does a limit of the task (`file_size`).
    """
    path, run = spec["begins"]
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    content = f"{run}?".encode()
    if os.write(fd, content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    spec["begins"] = str(fd), run


def _mark_begun(spec: Spec) -> None:
    """Note that the run begins. Without the note, the next supervisor starts it again for its firing."""
    fd, run = spec["begins"]
    os.ftruncate(int(fd), len(run.encode()))


def begin() -> None:
    """Do the steps that need no launch. They cannot fail.

    Make a session and a process group, so that a signal can reach all of the run. Unblock the signals that the spawner
    blocks. Those that were sent meanwhile arrive now; their dispositions are the default already.
    """
    setsid()
    pthread_sigmask(SIG_SETMASK, ())


def _helper(_: Spec) -> None:
    """Block SIGTERM in a helper until it can obey it. A helper killed while it starts leaves its work."""
    pthread_sigmask(SIG_BLOCK, (SIGTERM,))


def _title(spec: Spec) -> None:
    """Set the title of a Python task, as no exec does. The environment must still be where the kernel put it."""
    gc.enable()
    ctypes.pythonapi.PyOS_BeforeFork()
    ctypes.pythonapi.PyOS_AfterFork_Child()  # the interpreter goes on: what the spawner left out is done now
    title.show(f"supervisor: {spec['title']}")


def _input(spec: Spec) -> None:
    """Open the input of the firing as descriptor 0, which is /dev/null already."""
    dup2(open_file(spec["stdin"], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), 0)


def _text(spec: Spec) -> None:
    """Make descriptor 0 a file in memory with the text."""
    fd = os.memfd_create("stdin")
    with open(fd, "wb", closefd=False) as file:
        file.write(spec["text"].encode("utf-8", "surrogateescape"))
    os.lseek(fd, 0, os.SEEK_SET)
    dup2(fd, 0)
    os.close(fd)


def _output(spec: Spec) -> None:
    """Open descriptors 1 and 2. Descriptor 0 is the input of the firing, or /dev/null."""
    if spec["helper"]:  # it uses the supervisor's stdout; the supervisor reads its stderr, if it can
        if spec["err"]:
            dup2(_open(spec, spec["err"]), 2)
        return
    out, err = spec["out"], spec["err"]
    dup2(_open(spec, out) if out else _nothing(spec), 1)
    dup2(1 if err == out else _open(spec, err) if err else _nothing(spec), 2)


def _nothing(spec: Spec) -> int:
    """Return a descriptor of /dev/null."""
    return open_file(os.devnull, os.O_RDWR | os.O_CLOEXEC) if spec["stdin"] or spec["text"] else 0


def _open(spec: Spec, path: str) -> int:
    """Open a FIFO read-write, so that it outlives its readers.

    The FIFO then belongs to the task's user, so that the task can open /dev/stdout again.
    """
    fd = open_file(path, os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW)
    if spec["user"] and not os.geteuid():
        os.fchown(fd, entry_of(spec["user"]).pw_uid, -1)
    return fd


def _give_notify_socket(spec: Spec) -> None:
    """Give the notify socket to the task's user. Messages of others are ignored, but could fill the socket."""
    if spec["user"] and not os.geteuid():
        os.chown(spec["notify_socket"], entry_of(spec["user"]).pw_uid, -1, follow_symlinks=False)


def _umask(spec: Spec) -> None:
    if spec["umask"] is not None:
        umask(spec["umask"])


def _variables(spec: Spec) -> None:
    """Add variables to the supervisor's own environment: the user's, the files', the task's, and ours.

    Only the variables that differ are set. os.environ follows for a Python task only, as no other process sees it.
    """
    if not spec["inherit_environment"]:
        os.environ.clear()
    put = os.environ.__setitem__ if spec["python"] else putenv
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
    """Set the group, the supplementary groups and the user, as the password database has them now."""
    entry = entry_of(spec["user"] or "")
    if os.geteuid() and (entry.pw_uid, entry.pw_gid) == (os.geteuid(), os.getegid()):
        return  # this is our user already, and only root could change anything
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _bound(_: Spec) -> None:
    """Have the kernel kill the child when its parent dies (prctl(2), PR_SET_PDEATHSIG).

    A change of the user undoes this, so it comes after that.
    """
    _libc.prctl(1, 9, 0, 0, 0)


def _directory(spec: Spec) -> None:
    """Enter the directory as the user, who may see less than root does, or more (NFS)."""
    os.chdir(spec["directory"] or ".")


def _not_dumpable(_: Spec) -> None:
    """Hide the memory of a helper: it dumps no core, and only root may read or trace it (prctl(2), PR_SET_DUMPABLE).

    Without an exec, the memory holds a copy of the spawner's. The kernel may undo this at a change of the user, so it
    comes after that.
    """
    _prctl(PR_SET_DUMPABLE, 0)


def _no_new_privileges(_: Spec) -> None:
    """Forbid new privileges by an exec: set-user-ID bits and file capabilities have no effect from now on."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


AS_ROOT: tuple[Step, ...] = (
    ("mark", "mark", _mark),
    ("make the note that it begins", "begins", _make_note),
    ("prepare a helper", "helper", _helper),
    ("set title", "python", _title),
    ("open input", "stdin", _input),
    ("write input", "text", _text),
    ("open output", "", _output),
    ("give notify socket", "notify_socket", _give_notify_socket),
    ("set umask", "", _umask),
    ("read environment_file", "", _variables),
)

AS_USER: tuple[Step, ...] = (
    ("chdir", "directory", _directory),
    ("bind to the supervisor", "bound", _bound),
    ("hide the memory of a helper", "helper", _not_dumpable),
    ("set no_new_privileges", "no_new_privileges", _no_new_privileges),
)

STEPS: tuple[Step, ...] = (*AS_ROOT, ("become user", "user", _user), *AS_USER)


def _execute(spec: Spec) -> None:
    """Execute the command as execvp(3) does. It skips a file that may not be executed for a later one in PATH.

    Raises:
        OSError: always, if it returns at all; the text says what is wrong with the file.
    """
    words = spec["command"]
    name, failure = words[0], errno.ENOENT
    for folder in ("",) if "/" in name else _path().split(":"):
        try:
            execv(os.path.join(folder, name) if folder else name, words)  # noqa: S606 - no shell is wanted
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                continue
            failure = error.errno or failure
            if failure != errno.EACCES:
                break
    raise OSError(failure, _complaint(name, failure), name)


def _path() -> str:
    """Return the PATH that the program will have. os.environ does not know it."""
    value: bytes | None = _getenv(b"PATH")
    return os.defpath if value is None else os.fsdecode(value)


def _complaint(name: str, error: int) -> str:
    if error == errno.ENOENT and "/" in name and os.path.exists(name):
        return "the interpreter in its first line does not exist"
    if "/" in name and os.path.isdir(name):
        return "is a directory"
    return "not a program: it has no #! line" if error == errno.ENOEXEC else os.strerror(error)


def _call(spec: Spec, channel: int) -> None:
    """Run the Python callable of a task, or the program of a helper, in this process."""
    os.close(channel)
    kept = spec["kept"]
    os.closerange(3, max(kept, 3))
    os.closerange(max(kept + 1, 3), os.sysconf("SC_OPEN_MAX"))
    target, words = spec["python"] or "", list(spec["command"])
    if spec["helper"]:
        task.as_a_program(lambda: _run_program(target, words))
    task.run(target, words, spec["stop_signal"])


def _run_program(target: str, words: list[str]) -> None:
    """Call "module:callable" of this package, as a new interpreter would.

    The package is loaded again: another version may be installed by now, and modules of two versions do not fit
    together. The old modules stay in memory, which is shared with the spawner as long as nothing is written there.
    """
    old = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "supervisor"}
    sys.argv = [target, *words]
    task.find(target)()
    del old


def _report(channel: int, text: str, *, scarce: bool = False) -> None:
    """Send the error to the parent. A file name that is not UTF-8 is sent as its bytes."""
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        data = text.encode(errors="backslashreplace")
    try:
        os.write(channel, (LACKS if scarce else b"") + data[:4000])
    except OSError:
        return


def read_environment_file(path: str) -> dict[str, str]:
    """Read KEY=VALUE lines. Skip blank lines and those that begin with # or ;, and remove one pair of quotes.

    This is EnvironmentFile= of systemd.exec(5) without line continuations. If the path begins with "-", the file may be
    missing.

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


def _of_user(user: str) -> dict[str, str]:
    """Return HOME, USER, LOGNAME and SHELL, as systemd sets them with User=."""
    entry = entry_of(user)
    return {"HOME": entry.pw_dir, "USER": user, "LOGNAME": user, "SHELL": entry.pw_shell}
