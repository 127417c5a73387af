"""The FIFOs through which @scribe reads what tasks say.

Each run has its own, so what it said is told from what the next one says, and its end from its silence. The child
opens them for reading and writing, so that it never has a pipe without a reader, whoever dies. The parent holds each
open for reading, so that what a dying task wrote last is not lost with it while there is no scribe, and has it held
beyond its own death (`keeper`); the scribe removes the FIFO when it has read everything, and then the parent lets go
of it.

A scribe that does not come to it (its disk hangs) may leave many behind. Each instance may have SPARE, and all of them
together have ROOM for more. What a crash loop needs beyond that uses the newest ones again: nothing is lost, but then
the last line of a run, if it has no newline, goes on with the first one of the next, and both count as one run's.
"""

from __future__ import annotations

import array
import fcntl
import os
import resource
import stat
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from supervisor.host.keeper import Keeper

SPARE = 8
"""Runs of one instance that may wait for the scribe in any case; each costs two descriptors of the parent."""

ROOM = 2048
"""Runs that may wait beyond that, of all instances together, as long as they need no more than a quarter of the
descriptors that the parent may have. With the longest back-off, a minute, a crash loop needs more than a day for it."""

NOW_AND_THEN = 64
"""Runs of an instance in a jam between two looks at all that it has, not only at the oldest ones."""

Pair = tuple[str, ...]


class Fifos:
    """The FIFOs that the parent holds."""

    def __init__(self, keeper: Keeper, log: Callable[[str, str], None]) -> None:
        """`keeper` holds them when the parent is gone; `log(level, text)`."""
        self._keeper = keeper
        self._log = log
        self._complained = False  # that there are more than can be kept so: once is enough
        self._held: dict[str, dict[Pair, list[int]]] = {}  # by instance, the oldest first
        self._taken_over = False

    def make(self, key: str, paths: Pair) -> Pair:
        """Makes those of a run. Returns what it shall write to: these, or, in a jam, those of the run before.

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
                with suppress(FileNotFoundError):
                    os.unlink(path)
            raise
        return paths

    def _room(self) -> bool:
        """Whether there is any for a run beyond those that each instance may have."""
        beyond = sum(max(0, len(held) - SPARE) for held in self._held.values())
        return beyond < min(ROOM, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)

    def hold(self, key: str, paths: Pair) -> None:
        """Opens those that are there, for as long as the scribe has not removed them.

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
        self._keep(fds)
        self._held.setdefault(key, {})[paths] = fds

    def _keep(self, fds: list[int]) -> None:
        """Also beyond our death. No start fails for want of that."""
        try:
            if self._keeper.full:
                self._keeper.renew(self._all())
            self._keeper.put(fds)
        except OSError as error:
            if not self._complained:
                self._log("warning", f"a crash of the supervisor may lose what a task says then: {error.strerror}")
            self._complained = True

    def _all(self) -> Iterator[int]:
        for held in self._held.values():
            for fds in held.values():
                yield from fds

    def take_over(self, folder: str) -> None:
        """Holds what an earlier supervisor held, once: afterwards it is all known. And says that it does, each time.

        Raises:
            OSError: no descriptor is left, or no room to say it.
        """
        if not self._taken_over:
            self._find(folder)
            self._taken_over = True
        self._keeper.in_charge(os.path.dirname(folder))

    def _find(self, folder: str) -> None:
        known = {path for held in self._held.values() for paths in held for path in paths}
        for paths in _runs(folder):
            if not known.isdisjoint(paths):  # the last attempt came as far as this
                continue
            key = os.path.basename(paths[0]).rpartition(".")[0].rpartition(".")[0]
            try:
                self.hold(key, paths)
            except FileNotFoundError:  # the scribe has just removed one
                for path in paths:
                    with suppress(FileNotFoundError):
                        self.hold(key, (path,))

    def sweep(self, keys: Iterable[str]) -> None:
        """Lets go of what the scribe has removed, of every instance but these, which do it when they start again."""
        for key in self._held.keys() - set(keys):
            self._sweep(key)

    def unread(self, key: str) -> int:
        """Bytes that are in the FIFOs of an instance."""
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
            if there > SPARE and not thorough:  # the scribe begins with the oldest ones, if it can
                break
        if not held:
            self._held.pop(key, None)
        return held


def _runs(folder: str) -> list[Pair]:
    """The FIFOs of each run, the oldest first, with those of its stdout before those of its stderr, as in `make`.

    Runs are numbered within an epoch ("web:2.7@k3f9q1"); which epoch is older only their files can tell.
    """
    found: dict[str, list[str]] = {}
    age: dict[str, int] = {}
    for name in sorted(os.listdir(folder), reverse=True):
        run, _, stream = name.rpartition(".")
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
    """Returns whether it was not there yet."""
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.mkfifo(path, 0o600)
    return True


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
