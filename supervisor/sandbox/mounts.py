"""Make a mount namespace for one run: places that it may not write or see, and files that no other process sees.

The namespace is separate from that of the machine (MS_PRIVATE). The machine does not see what happens in the namespace.
The namespace does not see what is mounted outside later, which could cover a read-only place. The rest follows systemd
(namespace.c). The most specific path wins, whatever it says and in whatever order it is written. So places are arranged
from the top down.

- A place becomes read-only with all that is mounted below it. It is bound onto itself; then mount_setattr(2) acts on it
  recursively.
- A place that stays writable within is put aside before, as it is (open_tree(2)). It is put back in its turn
  (move_mount(2)).
- An empty read-only file system covers an inaccessible directory. A device on a mount that allows no
  devices covers an inaccessible file, so that root cannot open it either.
- Credentials are in a ramfs, which is never swapped out to a disk. It ends with the last process of the run.
"""

from __future__ import annotations

import ctypes
import os

from supervisor.host.step import StepError

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
TMP = ("/tmp", "/var/tmp")  # noqa: S108
"""The places that `private_tmp` makes private. They are empty when the run begins, so no place below them exists."""

AT_FDCWD, AT_RECURSIVE = -100, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_RDONLY = 1, 4, 1
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""System calls that an older libc does not have by name. Their numbers are the same on every machine."""

LARGEST_CREDENTIAL = 1024 * 1024
"""Bytes: systemd's limit."""

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Enter a new namespace.

    Raises:
        StepError: the kernel refuses it.
    """
    if _libc.unshare(flags):
        raise StepError(f"{os.strerror(ctypes.get_errno())}; the supervisor needs CAP_SYS_ADMIN for it")


def arrange(
    *, read_only: tuple[str, ...], read_write: tuple[str, ...], inaccessible: tuple[str, ...], private_tmp: bool
) -> None:
    """Make a namespace in which these places are as wanted. A path with a leading "-" may be missing."""
    unshare(CLONE_NEWNS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    empty = TMP if private_tmp else ()
    aside = {path: _clone_tree(path) for path in _there(read_write, empty)}
    places = [(path, _make_read_only) for path in _there(read_only, empty)]
    places += [(path, _hide) for path in _there(inaccessible, empty)]
    places += [(path, lambda path: _move_tree(path, aside[path])) for path in aside]
    places += [(path, _make_tmp) for path in empty]
    for path, act in sorted(places, key=lambda place: place[0].rstrip("/").count("/")):
        act(path)


def read_credentials(sources: dict[str, str]) -> dict[str, bytes]:
    """Return the contents of the files, by name.

    Raises:
        StepError: one is too large.
    """
    contents = {}
    for name, path in sources.items():
        with open(path, "rb") as file:
            contents[name] = file.read(LARGEST_CREDENTIAL + 1)
        if len(contents[name]) > LARGEST_CREDENTIAL:
            raise StepError(f"{path} is larger than {LARGEST_CREDENTIAL} bytes, too large for a credential")
    return contents


def make_place(directory: str) -> None:
    """Make a mount point. The umask of the task does not apply, as it could keep the task's user out."""
    old = os.umask(0o022)
    os.makedirs(directory, exist_ok=True)
    os.umask(old)


def show_credentials(directory: str, contents: dict[str, bytes], owner: int) -> None:
    """Make files that only the owner may read, in a file system that only this run has."""
    make_place(directory)  # once more, as it may be below a /tmp that is private now
    flags = MS_NODEV | MS_NOSUID | MS_NOEXEC
    _mount("ramfs", directory, "ramfs", flags, "mode=700")
    for name, content in contents.items():
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        os.write(fd, content)
        os.fchown(fd, owner, -1)
        os.fchmod(fd, 0o400)
        os.close(fd)
    os.chown(directory, owner, -1)
    os.chmod(directory, 0o500)
    _mount(None, directory, None, flags | MS_REMOUNT | MS_BIND | MS_RDONLY)


def _there(paths: tuple[str, ...], empty: tuple[str, ...]) -> list[str]:
    """Leave out the paths that may be missing and are missing, or will be below a place in `empty`."""
    return [
        path.removeprefix("-")
        for path in paths
        if not path.startswith("-") or (os.path.exists(path[1:]) and not is_below(path[1:], empty))
    ]


def is_below(path: str, places: tuple[str, ...]) -> bool:
    """Return whether a path lies in one of these directories."""
    return any(path.startswith(f"{place}/") for place in places)


def _make_read_only(path: str) -> None:
    if path != "/":  # nothing can be mounted over the root; it is a mount already
        _mount(path, path, None, MS_BIND | MS_REC)
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY)
    _call(_MOUNT_SETATTR, path, AT_FDCWD, os.fsencode(path), AT_RECURSIVE, attributes, 32)


def _clone_tree(path: str) -> int:
    return _call(_OPEN_TREE, path, AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC)


def _move_tree(path: str, tree: int) -> None:
    _call(_MOVE_MOUNT, path, tree, b"", AT_FDCWD, os.fsencode(path), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def _hide(path: str) -> None:
    flags = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC
    if os.path.isdir(path):
        _mount("tmpfs", path, "tmpfs", flags, "mode=000,size=4k,nr_inodes=2")
    else:
        _mount(os.devnull, path, None, MS_BIND)
        _mount(None, path, None, MS_REMOUNT | MS_BIND | flags)


def _make_tmp(path: str) -> None:
    """Mount a tmpfs that ends with the run. It has at most a tenth of the memory, as in systemd."""
    _mount("tmpfs", path, "tmpfs", MS_NODEV | MS_NOSUID, "mode=1777,size=10%")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def _call(number: int, path: str, *arguments: object) -> int:
    """Make a system call about a path, by its number. Pass integers as the kernel takes them."""
    plain = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        hint = "; it needs Linux 5.12" if ctypes.get_errno() == 38 else ""
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()) + hint, path)
    return result
