"""Hold the FIFOs through which @scribe reads the output of tasks.

Each run has its own FIFOs. So the scribe can tell the output of one run from that of the next, and an end from a
silence. Three measures keep the output from being lost:

- The child opens its FIFOs for reading and writing. So it never has a pipe without a reader, whoever dies.
- The parent holds each FIFO open for reading. So the last output of a dying task is not lost while there is no scribe.
- The parent has each FIFO held open beyond its own death (`fd_holder`).

The scribe removes a FIFO when it has read everything. Then the parent closes it.

If somebody removes a FIFO, or the whole runtime directory, the task still writes to it. The kernel gives no new name to
a FIFO without any. So the parent makes a link to a descriptor of it (proc(5)) in place of its name. The next parent
finds such a FIFO among the descriptors of the task.

A scribe that cannot keep up (its disk hangs) may leave many FIFOs unread. Each instance may have SPARE of them, and all
instances together have ROOM for more. Beyond that, a crash loop uses its newest FIFOs again. Nothing is lost by this.
But if the last line of a run has no newline, the first line of the next run continues it. Both count as one run's.
"""

from __future__ import annotations

import array
import fcntl
import os
import resource
import stat
import termios
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from itertools import product

from supervisor.host.place import leads_to, place_of
from supervisor.spawn.fd_holder import FdHolder

SPARE = 8
"""Runs of one instance that may always wait for the scribe. Each costs two descriptors of the parent."""

ROOM = 2048
"""Runs of all instances together that may wait beyond that. They may need at most a quarter of the descriptors that the
parent may have. With the longest back-off, a minute, a crash loop needs more than a day to fill this."""

NOW_AND_THEN = 64
"""Unread runs of an instance between two looks at all of its runs. Other looks are at the oldest ones only."""

Pair = tuple[str, ...]


class Fifos:
    """The FIFOs that the parent holds."""

    def __init__(self, fd_holder: FdHolder, log: Callable[[str, str], None]) -> None:
        """`fd_holder` holds the FIFOs when the parent is gone. `log(level, text)`."""
        self._fd_holder = fd_holder
        self._log = log
        self._complained = False  # the warning that no more can be held so is logged once
        self._held: dict[str, dict[Pair, list[int]]] = {}  # by instance, the oldest first
        self._taken_over = False
        self._present: Collection[str] = ()  # the instances of the last manifest

    def make(self, key: str, paths: Pair) -> Pair:
        """Make the FIFOs of a run. Return where it writes to: these, or those of the run before if too many wait.

        Raises:
            OSError: the runtime directory is full or gone, or no descriptor is left.
        """
        held = self._sweep(key)
        newest = next(reversed(held), ())
        if len(held) >= SPARE and len(newest) == len(paths) and not self._room():
            return newest
        made: list[str] = []
        try:
            for path in paths:
                if _make(path):
                    made.append(path)  # noqa: PERF401 - to remove them
            self.hold(key, paths)
        except OSError:
            for path in made:
                _unlink(path)
            raise
        return paths

    def _room(self) -> bool:
        """Return whether there is room for a run beyond those that each instance may have."""
        beyond = sum(max(0, len(held) - SPARE) for held in self._held.values())
        return beyond < min(ROOM, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)

    def hold(self, key: str, paths: Pair) -> None:
        """Open FIFOs that exist, and hold them until the scribe has removed them.

        Raises:
            OSError: no descriptor is left.
        """
        fds: list[int] = []
        try:
            for path in paths:
                fds.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))  # noqa: PERF401 - to close them
        except OSError:
            _close(fds)
            raise
        self._put_in_holder(fds)
        self._held.setdefault(key, {})[paths] = fds

    def _put_in_holder(self, fds: list[int]) -> None:
        """Have these held beyond our death. If that fails, the start does not."""
        try:
            if self._fd_holder.full:
                self._fd_holder.send_again(self._all())
            self._fd_holder.hold(fds)
        except OSError as error:
            if not self._complained:
                self._log("warning", f"a crash of the supervisor may lose output of tasks: {error.strerror}")
            self._complained = True

    def _all(self) -> Iterator[int]:
        for held in self._held.values():
            for fds in held.values():
                yield from fds

    def take_over(self, folder: str) -> None:
        """Hold what an earlier supervisor held, and announce that we hold it. Do so once: afterwards all is known.

        Raises:
            OSError: no descriptor is left, or no room to announce it.
        """
        if not self._taken_over:
            self._find(folder)
            self.renew()
            self._fd_holder.in_charge(os.path.dirname(folder))
            self._taken_over = True

    def find(self, run: str, pid: int) -> None:
        """Give the FIFOs of a run that an earlier supervisor started a name again, if they have lost it.

        Args:
            run: their path without the suffix for the stream (`layout.output`).
            pid: the leader of the run. Its stdout and its stderr are the FIFOs, unless it has changed that.
        """
        for path, fd in product((f"{run}.out", f"{run}.err"), (1, 2)):
            with suppress(OSError):  # it has no such descriptor, or is gone
                if leads_to(f"/proc/{pid}/fd/{fd}", path) and not _is_named(path):
                    _link(f"/proc/{pid}/fd/{fd}", path)

    def _find(self, folder: str) -> None:
        known = {path for held in self._held.values() for paths in held for path in paths}
        for paths in _runs(folder):
            if not known.isdisjoint(paths):  # the last attempt has held these already
                continue
            key = os.path.basename(paths[0]).rpartition(".")[0].rpartition(".")[0]
            try:
                self.hold(key, paths)
            except FileNotFoundError:  # the scribe has just removed one
                for path in paths:
                    with suppress(FileNotFoundError):
                        self.hold(key, (path,))

    def sweep(self, keys: Iterable[str]) -> None:
        """Close what the scribe has removed, except for these instances. They do it when they start again."""
        self._present = frozenset(keys)
        for key in self._held.keys() - self._present:
            self._sweep(key)

    def is_there(self) -> bool:
        """See `Kept`. Only the newest FIFOs of an instance need a name: the scribe may have removed the older ones."""
        newest = [list(held.items())[-1] for key, held in self._held.items() if key in self._present]
        return all(place_of(path) == place_of(fd) for paths, fds in newest for path, fd in zip(paths, fds, strict=True))

    def renew(self) -> None:
        """See `Kept`. A FIFO that the scribe has removed may get a name, too. The scribe removes that again."""
        for held in self._held.values():
            for paths, fds in held.items():
                for path, fd in zip(paths, fds, strict=True):
                    if place_of(path) != place_of(fd) or os.path.islink(path):
                        _link(f"/proc/{os.getpid()}/fd/{fd}", path)

    def unread(self, key: str) -> int:
        """Return the number of bytes in the FIFOs of an instance."""
        count, total = array.array("i", [0]), 0
        for fds in self._held.get(key, {}).values():
            for fd in fds:
                fcntl.ioctl(fd, termios.FIONREAD, count)
                total += count[0]
        return total

    def _sweep(self, key: str) -> dict[Pair, list[int]]:
        held = self._held.get(key, {})
        there, thorough = 0, len(held) % NOW_AND_THEN == 0
        for paths in list(held):
            if any(map(os.path.exists, paths)):
                there += 1
            else:
                _close(held.pop(paths))
            if there > SPARE and not thorough:  # the scribe reads the oldest ones first, if it can
                break
        if not held:
            self._held.pop(key, None)
        return held


def _runs(folder: str) -> list[Pair]:
    """Return the FIFOs of each run, the oldest run first, and stdout before stderr, as in `make`.

    Runs are numbered within an epoch ("web:2.7@k3f9q1"). Only the files tell which epoch is older.
    """
    found: dict[str, list[str]] = {}
    age: dict[str, int] = {}
    for name in sorted(os.listdir(folder), reverse=True):
        run, _, stream = name.rpartition(".")
        if not _is_named(f"{folder}/{name}"):
            _unlink(f"{folder}/{name}")
        with suppress(FileNotFoundError):  # the scribe has just removed it
            there = os.stat(f"{folder}/{name}")
            if stream in ("out", "err") and stat.S_ISFIFO(there.st_mode):
                found.setdefault(run, []).append(f"{folder}/{name}")
                epoch = run.rpartition("@")[2]
                age[epoch] = max(there.st_mtime_ns, age.get(epoch, 0))

    def order(run: str) -> tuple[int, int]:
        number, _, epoch = run.rpartition(".")[2].rpartition("@")
        return age[epoch], int(number) if number.isdecimal() else 0

    return [tuple(found[run]) for run in sorted(found, key=order)]


def _make(path: str) -> bool:
    """Make a FIFO. Return False if it was there already."""
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.mkfifo(path, 0o600)
    return True


def _is_named(path: str) -> bool:
    """Return whether a path leads to its FIFO. A link that an earlier supervisor made leads nowhere, or astray."""
    try:
        return os.path.exists(path) and (not os.path.islink(path) or leads_to(os.readlink(path), path))
    except OSError:
        return False


def _link(fd: str, path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    _unlink(path)
    os.symlink(fd, path)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
