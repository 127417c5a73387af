"""Let the system calls of SQLite fail in turn: the n-th one, with an errno of choice, on files below a directory.

SQLite offers this for its own tests (`xSetSystemCall` of sqlite3_vfs). It needs the library that `sqlite3` uses.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATTERNS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "open": (ctypes.c_int, (ctypes.c_char_p, ctypes.c_int, ctypes.c_int)),
    "read": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)),
    "pread": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)),
    "pread64": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)),
    "write": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)),
    "pwrite": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)),
    "pwrite64": (ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)),
    "ftruncate": (ctypes.c_int, (ctypes.c_int, ctypes.c_int64)),
    "fstat": (ctypes.c_int, (ctypes.c_int, ctypes.c_void_p)),
    "unlink": (ctypes.c_int, (ctypes.c_char_p,)),
}
"""The calls that may fail, each with its result and arguments."""


WRITES = ("write", "pwrite", "pwrite64", "ftruncate")


class Vfs(ctypes.Structure):
    """The beginning of struct sqlite3_vfs, version 3."""


_SET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Vfs), ctypes.c_char_p, ctypes.c_void_p)
_GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Vfs), ctypes.c_char_p)
_NAMES = (
    "xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness",
    "xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64",
)  # fmt: skip
Vfs._fields_ = [
    ("iVersion", ctypes.c_int), ("szOsFile", ctypes.c_int), ("mxPathname", ctypes.c_int),
    ("pNext", ctypes.c_void_p), ("zName", ctypes.c_char_p), ("pAppData", ctypes.c_void_p),
    *((name, ctypes.c_void_p) for name in _NAMES), ("xSetSystemCall", _SET), ("xGetSystemCall", _GET),
]  # fmt: skip


def _vfs() -> Any:
    import _sqlite3  # noqa: PLC0415 - some Pythons have none that can be loaded

    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    find = library.sqlite3_vfs_find
    find.restype, find.argtypes = ctypes.POINTER(Vfs), [ctypes.c_char_p]
    found = find(None)
    return found if found and found.contents.iVersion >= 3 else None


def unavailable() -> str:
    """Return why the calls cannot be replaced here; "": they can."""
    try:
        return "" if _vfs() else "this SQLite has no replaceable system calls"
    except (OSError, AttributeError) as error:
        return str(error)


class Calls:
    """The calls that were made, and the one that fails."""

    def __init__(self, below: Path) -> None:
        self.below = os.fsencode(below)
        self.made: list[str] = []
        self.fail_at: int | None = None  # the number of a call; it and all later ones below the directory fail
        self.once = False  # only that call fails
        self.only: tuple[str, ...] = tuple(PATTERNS)  # calls that can fail
        self.errno = 0  # with this error; 0: the process is killed instead

    def fails(self, name: str, first: object) -> bool:
        """Note a call. Return whether it fails."""
        path = first if isinstance(first, bytes) else b""
        if isinstance(first, int):
            try:
                path = os.readlink(b"/proc/self/fd/%d" % first)
            except OSError:
                return False
        if not path.startswith(self.below):
            return False
        self.made.append(name)
        number = len(self.made) - 1
        if number == self.fail_at and not self.errno:
            os.kill(os.getpid(), signal.SIGKILL)
        return (
            self.fail_at is not None
            and name in self.only
            and (number == self.fail_at or (number > self.fail_at and not self.once))
        )


@contextmanager
def calls_below(directory: Path) -> Iterator[Calls]:
    """Count the calls of SQLite on files below this directory, and let some fail, until the block ends."""
    vfs, calls = _vfs(), Calls(directory)
    kept: list[Any] = []
    replaced: list[bytes] = []

    def make(name: str, kind: Any, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> int:
            if calls.fails(name, arguments[0]):
                ctypes.set_errno(calls.errno)
                return -1
            result = real(*arguments)
            return int(result)

        return kind(call)

    for name, (result, arguments) in PATTERNS.items():
        address = vfs.contents.xGetSystemCall(vfs, name.encode())
        if not address:
            continue
        kind = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)
        fake = make(name, kind, kind(address))
        kept.append(fake)
        vfs.contents.xSetSystemCall(vfs, name.encode(), ctypes.cast(fake, ctypes.c_void_p))
        replaced.append(name.encode())
    try:
        yield calls
    finally:
        for name in replaced:
            vfs.contents.xSetSystemCall(vfs, name, None)
