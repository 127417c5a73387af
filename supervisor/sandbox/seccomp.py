"""Filter `system_calls` in the kernel, by libseccomp. It knows the numbers of the calls on each machine.

A list begins with nothing allowed. If its first word has a "~", it begins with everything allowed. Each word then adds
calls or takes them away. The calls of `@default`, reading and writing are always allowed: without them a program could
not even say why it fails. A call that is not allowed returns EPERM. A call of another architecture ends the process
(systemd.exec(5), SystemCallFilter= and SystemCallArchitectures=native).
"""

from __future__ import annotations

import ctypes
import errno
import os

from supervisor.host.step import StepError
from supervisor.sandbox.syscalls import members

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
ALWAYS = members("@default") | {"read", "write", "close"}
UNKNOWN = -1
MISSING = "libseccomp is not installed on this machine (Debian: libseccomp2, Fedora: libseccomp)"


def library() -> ctypes.CDLL:
    """Load the library.

    Raises:
        StepError: it is not installed.
    """
    try:
        found = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise StepError(MISSING) from None
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = (ctypes.c_uint32,)
    found.seccomp_rule_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint)
    found.seccomp_load.argtypes = found.seccomp_release.argtypes = (ctypes.c_void_p,)
    return found


def is_known(name: str) -> bool:
    """Return whether there is a system call of this name, on any machine."""
    return int(library().seccomp_syscall_resolve_name(name.encode())) != UNKNOWN


def chosen(words: tuple[str, ...]) -> tuple[bool, set[str]]:
    """Return whether all other calls are allowed, and the calls: refused ones if so, else allowed ones."""
    forbid = words[0].startswith("~")
    names = set() if forbid else set(ALWAYS)
    for word in words:
        calls = members(word.removeprefix("~"))
        if word.startswith("~") == forbid:
            names |= calls
        else:
            names -= calls
    return forbid, names - ALWAYS if forbid else names | ALWAYS


def load(words: tuple[str, ...]) -> None:
    """Allow only these system calls from now on."""
    if not words:
        return
    found = library()
    forbid, names = chosen(words)
    context = found.seccomp_init(ALLOW if forbid else REFUSE)
    if not context:
        raise StepError("libseccomp cannot make a filter")
    for name in sorted(names):
        number = found.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # a negative number: the call does not exist on this machine
            _check(found.seccomp_rule_add(context, REFUSE if forbid else ALLOW, number, 0))
    _check(found.seccomp_load(context))
    found.seccomp_release(context)


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
