"""Make a child, for `spawn.server`: fork(2) in three variants.

Each child is the caller's sibling (clone(2), CLONE_PARENT). Where there are cgroups, the child is in a fresh one from
its first instruction on (clone3(2), CLONE_INTO_CGROUP). It was never anywhere else, so nothing of it can be outside.

Where clone3 is refused, the spawner moves the child: it writes the pid to `cgroup.procs`. That has two drawbacks:

- Every fork and exit on the machine waits for the kernel, up to 8 ms.
- No `pids.max` prevents the move.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from functools import partial

from supervisor.host import cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    from collections.abc import Callable, Sequence
    from typing import NoReturn

CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
_SYS_CLONE3 = 435
"""The number of clone3(2), on every machine."""

_SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""The number of clone(2). glibc's fork() has no flags, and clone3 is refused in many containers."""

_REFUSED = (
    errno.ENOSYS, errno.EPERM,  # a filter of a container; no such call
    errno.EINVAL, errno.E2BIG,  # an emulator, or a kernel, that does not know the flag
    errno.EACCES, errno.EOPNOTSUPP,  # clone3 cannot use this cgroup
)  # fmt: skip
"""Errors of clone3(2) that do not mean that one more process is forbidden. EAGAIN (pids.max) and ENOMEM mean that."""

_python = ctypes.PyDLL(None, use_errno=True)

_arguments = (ctypes.c_uint64 * 11)()
"""`struct clone_args`. A new one for each call would be freed in the child, too, and so copied."""


def make(paths: Sequence[str], begin: Callable[[int], NoReturn], *, into: bool) -> list[tuple[int, bool]]:
    """Make a child for each path. Return its pid or a negative errno, and whether it is in the cgroup of the path.

    `begin` is called in each child, with the number of the path. If a cgroup cannot be made, the child has none. But if
    the kernel permits no more processes in a cgroup, no child is made elsewhere.

    Everything is prepared first, so that the clones follow each other. After a clone, each page is copied when it is
    written to for the first time.
    """
    directories = [_directory(path) for path in paths]
    pids: list[int] = []
    for number, directory in enumerate(directories):
        pid = _first_try(directory, into=into)
        if pid == 0:
            begin(number)
        pids.append(pid)
    return [_made(path, directories[n], pids[n], partial(begin, n)) for n, path in enumerate(paths)]


def _directory(path: str) -> int | None:
    """Make a cgroup. Return its descriptor or a negative errno; None if there is none."""
    try:
        if path:
            cgroup.make(path)
    except OSError:
        return None
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if path else None
    except OSError as error:  # no descriptor is left
        return -(error.errno or errno.EMFILE)


def _first_try(directory: int | None, *, into: bool) -> int:
    """Return the pid of a child, 0 in the child, or a negative errno."""
    if directory is None:
        return _fork()
    if directory < 0:
        return directory
    return _clone_into(directory, CLONE_PARENT) if into else -errno.ENOSYS


def _made(path: str, directory: int | None, pid: int, begin: Callable[[], NoReturn]) -> tuple[int, bool]:
    """Return the answer for a child. If clone3 was refused, make it in another way, and move it."""
    if directory is None:
        return pid, False
    if directory >= 0:
        os.close(directory)
    if pid > 0:
        return pid, True
    if -pid in _REFUSED:
        pid = _fork()
        if pid == 0:
            begin()
    if pid < 0:
        cgroup.remove(path)
    return pid, pid > 0 and _move(pid, path)


def into_works(path: str) -> bool:
    """Return whether a child that is cloned into a cgroup lives. Try it with a cgroup of this path.

    Many containers refuse clone3. Kernels up to 6.18 also have a bug. It applies if our own cgroup was once killed as a
    whole (`cgroup.kill`) and we were started in it afterwards. The kernel then takes each child that we clone into
    another cgroup for a late child of that time, and kills it.
    """
    if os.uname().machine not in _SYS_CLONE:
        return False
    try:
        cgroup.make(path)
        directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    pid = _clone_into(directory, signal.SIGCHLD)
    if pid == 0:
        os._exit(0)
    os.close(directory)
    lived = pid > 0 and os.waitpid(pid, 0)[1] == 0
    cgroup.remove(path)
    return lived


def _move(pid: int, path: str) -> bool:
    try:
        with open(f"{path}/cgroup.procs", "w") as file:
            file.write(str(pid))
    except OSError:
        cgroup.remove(path)
        return False
    return True


def _fork() -> int:
    return _clone() if os.uname().machine in _SYS_CLONE else _fork_twice()


def _clone() -> int:
    """Fork as fork(2) does, but make the child the caller's sibling. Return a negative errno if there is no child.

    This skips the work of CPython after a fork (locks, hooks of modules). There is one thread before and after, and a
    child that executes a program needs none of that work. A child that stays Python does it later, see `child`.
    """
    flags = CLONE_PARENT | signal.SIGCHLD
    pid = int(_python.syscall(_SYS_CLONE[os.uname().machine], flags, 0, 0, 0, 0))
    return pid if pid >= 0 else -ctypes.get_errno()


def _clone_into(directory: int, flag: int) -> int:
    """Fork as fork(2) does, but begin the child in this cgroup. See clone3(2): `struct clone_args`, 88 bytes.

    `flag` is SIGCHLD for a child of our own, or CLONE_PARENT for a sibling. A sibling inherits our exit signal, which
    is SIGCHLD, too.
    """
    _arguments[0] = CLONE_INTO_CGROUP | (flag & CLONE_PARENT)
    _arguments[4] = flag & ~CLONE_PARENT
    _arguments[10] = directory
    pid: int = _python.syscall(_SYS_CLONE3, _arguments, 88)
    return pid if pid >= 0 else -ctypes.get_errno()


def _fork_twice() -> int:
    """Make a sibling where the number of clone(2) is not known. The parent, a subreaper, inherits the orphan."""
    ours, theirs = os.pipe()
    try:
        middle = os.fork()
        if middle == 0:
            return _in_the_middle(ours, theirs)
    except OSError as error:
        os.close(ours)
        os.close(theirs)
        return -(error.errno or errno.EAGAIN)
    os.close(theirs)
    answer = os.read(ours, 4)
    os.close(ours)
    os.waitpid(middle, 0)
    return int.from_bytes(answer, "little") if answer else -errno.EAGAIN


def _in_the_middle(ours: int, theirs: int) -> int:
    try:
        pid = os.fork()
    except OSError:
        os._exit(1)  # it sends nothing: the spawner takes that for EAGAIN
    if pid:
        os.write(theirs, pid.to_bytes(4, "little"))
        os._exit(0)
    os.close(ours)
    os.close(theirs)
    return 0
