"""`system_calls`: a filter in the kernel, by libseccomp, which knows the numbers of the calls on each machine.

A list begins with nothing allowed, or, when its first word has a "~", with everything; each word then adds calls, or
takes them away. Without what `@default` has and reading and writing no program could even say why it fails, so that is
always allowed. What is not allowed returns EPERM; calls of another architecture end the process (systemd.exec(5),
SystemCallFilter= and SystemCallArchitectures=native).
"""

from __future__ import annotations

import ctypes
import errno
import os

from supervisor.host.child import StepError
from supervisor.host.syscalls import members

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
ALWAYS = members("@default") | {"read", "write", "close"}
UNKNOWN = -1
MISSING = "libseccomp is not installed on this machine (Debian: libseccomp2, Fedora: libseccomp)"


def library() -> ctypes.CDLL:
    """The library.

    Raises:
        StepError: it is not there.
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
    """Whether there is a system call of this name, on any machine."""
    return int(library().seccomp_syscall_resolve_name(name.encode())) != UNKNOWN


def chosen(words: tuple[str, ...]) -> tuple[bool, set[str]]:
    """Whether everything else is allowed, and the calls that are then refused; or else those that are allowed."""
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
    """From now on only these."""
    if not words:
        return
    found = library()
    forbid, names = chosen(words)
    context = found.seccomp_init(ALLOW if forbid else REFUSE)
    if not context:
        raise StepError("libseccomp cannot make a filter")
    for name in sorted(names):
        number = found.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # below: it does not exist on this machine
            _check(found.seccomp_rule_add(context, REFUSE if forbid else ALLOW, number, 0))
    _check(found.seccomp_load(context))
    found.seccomp_release(context)


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
