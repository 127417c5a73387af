"""A child, as the kernel can make it: fork(2) in three variants, for `spawning`.

Each child is the caller's sibling (clone(2), CLONE_PARENT), and, where there are cgroups, in a fresh one from its first
instruction on (clone3(2), CLONE_INTO_CGROUP), so that it was never anywhere else and nothing of it can be outside. To
move a child by writing its pid to `cgroup.procs` makes every fork and exit on the machine wait for the kernel, up to
8 ms, and no `pids.max` stands against it; it is done where clone3 is refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

from supervisor.host import cgroup

CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000
_SYS_CLONE3 = 435
"""The number of clone3(2), on every machine."""

_SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""The number of clone(2). glibc's fork() has no flags, and clone3 is refused in many containers."""

_REFUSED = (
    errno.ENOSYS, errno.EPERM,  # a filter of a container; no such call
    errno.EINVAL, errno.E2BIG,  # an emulator, or a kernel, that does not know the flag
    errno.EACCES, errno.EOPNOTSUPP,  # this cgroup is not to be had that way
)  # fmt: skip
"""Errors of clone3(2) that say nothing about whether there may be one more process; EAGAIN (pids.max) and ENOMEM do."""

_python = ctypes.PyDLL(None, use_errno=True)


def make(path: str, *, into: bool) -> tuple[int, bool]:
    """A child, and whether it is in the cgroup of this path: one that cannot be had is done without.

    But where the kernel permits no more processes there, none is made anywhere else. Returns 0 in the child, a negative
    errno when there is none.
    """
    clone = _clone if os.uname().machine in _SYS_CLONE else _fork_twice
    if not path:
        return clone(), False
    try:
        cgroup.make(path)
    except OSError:
        return clone(), False
    pid = _clone_into(path, CLONE_PARENT) if into else -errno.ENOSYS
    if pid >= 0:
        return pid, True
    if -pid in _REFUSED:
        pid = clone()
    if pid < 0:
        cgroup.remove(path)
    return pid, pid > 0 and _move(pid, path)


def into_works(path: str) -> bool:
    """Whether a child can be cloned into a cgroup, and lives: tried with one of this path.

    clone3 is refused in many containers. And where our own cgroup was once killed as a whole (`cgroup.kill`), and we
    were started in it afterwards, kernels up to 6.18 take whatever we clone into another one for a late child of that
    time, and kill it, too.
    """
    if os.uname().machine not in _SYS_CLONE:
        return False
    try:
        cgroup.make(path)
        pid = _clone_into(path, signal.SIGCHLD)
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
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


def _clone() -> int:
    """As fork(2), but the child is the caller's sibling. Returns a negative errno when there is none.

    What CPython does after a fork (locks, hooks of modules) is left out: there is one thread before and after, and a
    child that executes a program needs nothing of it. One that stays Python has it done later, see `child`.
    """
    flags = CLONE_PARENT | signal.SIGCHLD
    pid = int(_python.syscall(_SYS_CLONE[os.uname().machine], flags, 0, 0, 0, 0))
    return pid if pid >= 0 else -ctypes.get_errno()


def _clone_into(path: str, flag: int) -> int:
    """As fork(2), with a child that begins in this cgroup. See clone3(2): `struct clone_args`, 88 bytes.

    `flag` is SIGCHLD for a child of our own, or CLONE_PARENT: a sibling ends with our signal, which is SIGCHLD, too.
    """
    directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    arguments = (ctypes.c_uint64 * 11)(CLONE_INTO_CGROUP | (flag & CLONE_PARENT))
    arguments[4] = flag & ~CLONE_PARENT
    arguments[10] = directory
    pid = int(_python.syscall(_SYS_CLONE3, ctypes.byref(arguments), 88))
    failure = ctypes.get_errno()
    os.close(directory)
    return pid if pid >= 0 else -failure


def _fork_twice() -> int:
    """The same where the number of clone(2) is not known: an orphan comes to the parent, which is a subreaper."""
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
        os._exit(1)  # nothing is told: the spawner takes it for EAGAIN
    if pid:
        os.write(theirs, pid.to_bytes(4, "little"))
        os._exit(0)
    os.close(ours)
    os.close(theirs)
    return 0
