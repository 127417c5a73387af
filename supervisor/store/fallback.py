"""Choose the file of the firings: in the state directory, or in the runtime directory while that cannot be written.

The runtime directory is in memory. What is kept there outlives @timekeeper and the supervisor, but not a loss of power:
then the older file in the state directory counts again, and firings that ran meanwhile may run twice. `status` says so.

The file in the runtime directory counts if it is there and of this boot; else the one in the state directory counts.
So one step of each move decides, and both files have the same content at that step:

- `FALL_BACK`, to the runtime directory: a whole copy under another name gets its name.
- `MOVE_BACK`, to the state directory: one transaction writes everything there, then the other file is removed.

@timekeeper may be killed at any step: it has moved, or it has not. A step that is done again changes nothing.

If the file in the state directory cannot even be read, or its disk does not answer, the file in the runtime directory
begins empty: schedules go on from the clock. What the other file has comes back with the move back (`_merge`).
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any

from supervisor.core.immutable import replace
from supervisor.core.last_runs import Record
from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.mountpoints import Mounts
from supervisor.host.place import Place, place_of
from supervisor.store import firings
from supervisor.store.database import is_broken
from supervisor.store.firings import Firings

AGAIN = 30.0
"""Seconds between two attempts to move back."""

BESIDE = ("", "-wal", "-shm", "-journal")

_REFUSED = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
)  # fmt: skip
"""Errors of SQLite that are those of the disk. Others are of the file, or of this process."""

ORIGIN = """
CREATE TABLE origin (boot TEXT NOT NULL, why TEXT NOT NULL, whole INTEGER NOT NULL);
CREATE TABLE first_marks (task TEXT, trigger TEXT, mark REAL NOT NULL, PRIMARY KEY (task, trigger)) WITHOUT ROWID;
CREATE TABLE elsewhere (id TEXT PRIMARY KEY, at REAL NOT NULL, reason TEXT NOT NULL, how TEXT NOT NULL) WITHOUT ROWID;
"""
"""Only the file in the runtime directory has these: where it comes from; and, if it began empty, from when on it has
the firings of each trigger, and the ends of firings that only the other file has.
"""

_DROP = "DROP TABLE IF EXISTS origin; DROP TABLE IF EXISTS first_marks; DROP TABLE IF EXISTS elsewhere;"


def is_refused(error: BaseException) -> bool:
    """Return whether an error says that the disk cannot be read or written."""
    if isinstance(error, OSError):
        return error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # of this process, or of the machine
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _REFUSED


class InMemory(Firings):
    """The open file in the runtime directory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.boot, self.why, self.whole = "", "", True
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'origin'").fetchone():
            ((self.boot, self.why, whole),) = connection.execute("SELECT boot, why, whole FROM origin")
            self.whole = bool(whole)

    def begin(self, boot: str, why: str, *, whole: bool) -> None:
        """Note where it comes from.

        Args:
            boot: the boot of the machine.
            why: what is wrong with the other file.
            whole: whether it has everything that the other file has.
        """
        self._db.executescript(f"BEGIN IMMEDIATE; {_DROP} {ORIGIN}")
        self._db.execute("INSERT INTO origin VALUES (?, ?, ?)", (boot, why, whole))
        self._db.execute("COMMIT")

    def end(self, identity: str, at: float, reason: str, **how: Any) -> str:  # type: ignore[explicit-override]  # noqa: ANN401
        """See there. If only the other file has the firing, keep its end for that."""
        task = super().end(identity, at, reason, **how)
        if not task and not self.whole:
            values = (identity, at, reason, json.dumps(how))
            self._db.execute("INSERT OR IGNORE INTO elsewhere VALUES (?, ?, ?, ?)", values)
        return task

    def set_mark(self, task: str, trigger: str, definition: str, mark: float) -> None:  # type: ignore[explicit-override]
        """See there."""
        super().set_mark(task, trigger, definition, mark)
        if not self.whole:
            self._db.execute("INSERT OR IGNORE INTO first_marks VALUES (?, ?, ?)", (task, trigger, mark))

    def first_marks(self) -> dict[tuple[str, str], float]:
        """Return from when on this file has the firings of each trigger, in seconds since 1970."""
        found = self._db.execute("SELECT task, trigger, mark FROM first_marks")
        return {(task, trigger): mark for task, trigger, mark in found}

    def ends_elsewhere(self) -> Iterator[tuple[str, float, str, dict[str, Any]]]:
        """Yield the ends of firings that only the other file has: the arguments of `end`."""
        for identity, at, reason, how in self._db.execute("SELECT id, at, reason, how FROM elsewhere"):
            yield identity, at, reason, json.loads(how)

    def move_to(self, other: Firings, boot: str) -> None:
        """Write everything into the file in the state directory, in one transaction."""
        if self.whole:
            self._db.backup(other.connection)
            other.connection.executescript(_DROP)
        else:
            _merge(self, other, boot)


def _merge(ours: InMemory, theirs: Firings, boot: str) -> None:
    """Write into the other file what has happened since ours began empty. It may have been written before."""
    first = ours.first_marks()
    with theirs:
        for firing, run, _ in theirs.firings():
            if not run and firing.due > first.get((firing.task, firing.trigger), inf):
                theirs.remove(firing.id)  # ours has computed it, too
        for firing, at, run, reason, success in ours.ended():
            theirs.add(firing)
            if run:
                theirs.take(firing.id, run, boot)
            theirs.end(firing.id, at, reason, ran=bool(run), success=success)
        for identity, at, reason, how in ours.ends_elsewhere():
            theirs.end(identity, at, reason, **how)
        for firing, run, _ in ours.firings():
            if theirs.add(firing) and run:
                theirs.take(firing.id, run, boot)
        for task, trigger in ours.triggers():
            if mark := ours.mark(task, trigger):
                theirs.set_mark(task, trigger, *mark)
        _merge_last_runs(ours, theirs)


def _merge_last_runs(ours: InMemory, theirs: Firings) -> None:
    older = theirs.last_runs()
    for task, record in ours.last_runs().items():
        theirs.set_last_run(task, _newer(record, older.get(task)))


def _newer(ours: Record, theirs: Record | None) -> Record:
    """Return what both files know of the last runs of a task. Ours knows nothing from before it began empty."""
    if ours.succeeded or theirs is None:
        return ours
    return replace(theirs, failed=ours.failed or theirs.failed, overdue=ours.overdue or theirs.overdue)


class Fallback:
    """The two files, and which of them is open."""

    def __init__(self, disk: str, memory: str, boot: str, say: Callable[[str, str], None]) -> None:
        """Open nothing yet.

        Args:
            disk: the file in the state directory.
            memory: the file in the runtime directory.
            boot: names this boot of the machine.
            say: logs a line for the operator.
        """
        self.disk = disk
        self.memory = memory
        self.why = ""  # why the file in the runtime directory is open; "": the other one is
        self._boot = boot
        self._say = say
        self._store: Firings | None = None
        self._place: Place | None = None  # of the open file
        self._check = WriteCheck(disk)

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self) -> Firings:
        """Open the file that counts. Fall back if that is the one in the state directory and it is refused.

        Raises:
            NewerVersionError: see there.
            sqlite3.Error: another process has the file open, or no memory is left.
            OSError: neither directory can be written.
        """
        if os.path.exists(self.memory) and (kept := self._open_memory()):
            self.why = kept.why
            return self._opened(kept, self.memory)
        try:
            store = self._open_disk()
        except (sqlite3.Error, OSError) as error:
            if not is_refused(error):
                raise
            self.fall_back(error)
            return self._opened(firings.open_to_write(self.memory, InMemory)[0], self.memory)
        self.why = ""
        return self._opened(store, self.disk)

    @contextmanager
    def opened(self) -> Iterator[Firings]:
        """Open the file that counts, for a block; see `open`. If the block finds that it is refused, fall back.

        Raises:
            sqlite3.Error, OSError: see `open`; or the file in the runtime directory is refused.
        """
        store = self.open()
        try:
            yield store
        except sqlite3.Error as error:
            if self.why or not is_refused(error):
                raise
            self.fall_back(error)

    def _opened(self, store: Firings, path: str) -> Firings:
        self._store, self._place = store, place_of(path)
        return store

    def _open_memory(self) -> InMemory | None:
        """Open the file in the runtime directory. Remove one that does not count, and return None."""
        store, said = firings.open_to_write(self.memory, InMemory)
        if store.boot == self._boot:
            return store
        store.close()
        _remove(self.memory)
        self._say("error", f"{said or f'{self.memory} is of an earlier boot'}; {self.disk} counts")
        return None

    def _open_disk(self) -> Firings:
        if Mounts().of(os.path.abspath(self.disk)):  # this process would hang with its disk
            from supervisor.host import patience  # noqa: PLC0415 - rarely needed, as all that is imported in a function

            patience.patiently(check_write, self.disk, 1)
        os.makedirs(os.path.dirname(self.disk), mode=0o755, exist_ok=True)
        store, said = firings.open_to_write(self.disk, Firings)
        if said:
            self._say("error", f"{said}; schedules go on from now")
        return store

    def file(self) -> str:
        """Return the path of the file that counts."""
        return self.memory if self.why else self.disk

    def says(self) -> str:
        """Return in a sentence why the firings are only in memory; "": they are on the disk."""
        if not self.why:
            return ""
        loss = "firings are kept in memory, and a loss of power may double their runs"
        return f"{self.disk} cannot be written ({self.why}): {loss}"

    def is_gone(self) -> bool:
        """Return whether the open file has lost its name: the next process would not find what is written now."""
        return place_of(self.file()) != self._place

    def close(self) -> None:
        """Close the open file, and end an attempt."""
        self._check.end()
        if self._store is not None:
            self._store.close()
            self._store = None

    # -- to the runtime directory -------------------------------------------------------------------------------------

    def fall_back(self, error: BaseException) -> None:
        """Move to the runtime directory, and close the open file. The caller opens the other one.

        Args:
            error: why.

        Raises:
            OSError, sqlite3.Error: the runtime directory cannot be written either.
        """
        for step in FALL_BACK:
            step(self, error)
        self._check.next_at = clock.now() + AGAIN

    def _clear(self, *_: object) -> None:
        """Remove what a killed process has left."""
        _remove(f"{self.memory}.new")
        if not os.path.exists(self.memory):
            _remove(self.memory)  # the log of another file must not come to lie beside the new one

    def _copy(self, error: BaseException) -> None:
        """Copy the open file; without one, the file on the disk. If that cannot be read, begin an empty one."""
        new, whole = f"{self.memory}.new", True
        try:
            if self._store is not None:
                self._store.copy_to(new)
            elif _is_no_answer(error):
                raise error
            else:
                _copy_file(self.disk, new)
        except (sqlite3.Error, OSError) as unreadable:
            if not (is_refused(unreadable) or is_broken(unreadable)):
                raise
            whole = False
            _remove(new)
        self.close()
        store, said = firings.open_to_write(new, InMemory)
        try:
            store.begin(self._boot, in_words(error), whole=whole and not said)
        finally:
            store.close()
        if said or not whole:
            self._say("error", f"what waited in {self.disk} cannot be read now; schedules go on from now")

    def _switch(self, error: BaseException) -> None:
        """From here on the new file counts."""
        os.rename(f"{self.memory}.new", self.memory)
        self.why = in_words(error)

    # -- back to the state directory ----------------------------------------------------------------------------------

    def next_attempt(self) -> float | None:
        """Return when to attempt to move back, in monotonic seconds; None: not by the time."""
        return self._check.next_at if self.why else None

    @property
    def fd(self) -> int:
        """The descriptor that is readable when an attempt has ended; -1: there is none."""
        return self._check.fd

    def attempt(self, now: float) -> bool:
        """Attempt to move back. Return whether the file in the state directory counts, and is to be opened.

        This process does not wait for the disk: first a child tries whether it takes as much.

        Args:
            now: monotonic seconds.
        """
        if not self.why:
            return False
        try:
            if not self._check.has_passed(now, self._size()):
                return False
            for step in MOVE_BACK:
                step(self)
        except (sqlite3.Error, OSError) as error:
            self.why = in_words(error)
            return False
        self.why = ""
        return True

    def _size(self) -> int:
        return sum(os.stat(self.memory + beside).st_size for beside in BESIDE if os.path.exists(self.memory + beside))

    def _write(self) -> None:
        """Write everything to the state directory, in one transaction."""
        os.makedirs(os.path.dirname(self.disk), mode=0o755, exist_ok=True)
        theirs, said = firings.open_to_write(self.disk, Firings)
        try:
            if said:
                self._say("error", said)
            if isinstance(self._store, InMemory):
                self._store.move_to(theirs, self._boot)
        finally:
            theirs.close()

    def _end(self) -> None:
        """From here on the file in the state directory counts."""
        self.close()
        _remove(self.memory)


FALL_BACK = (Fallback._clear, Fallback._copy, Fallback._switch)  # noqa: SLF001 - in the order in which they are done
MOVE_BACK = (Fallback._write, Fallback._end)  # noqa: SLF001


class WriteCheck:
    """A child that tries whether a disk takes a file of some size. It may hang with the disk; nobody waits for it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1  # readable when the child has ended
        self.next_at = 0.0  # monotonic seconds; inf: the child has not ended
        self._pid = 0

    def has_passed(self, now: float, size: int) -> bool:
        """Return whether a child has just succeeded. Begin one if none is there and it is time."""
        if self.fd < 0 and now >= self.next_at:
            self.next_at = inf
            from supervisor.host.aside import aside  # noqa: PLC0415

            try:
                self._pid, self.fd = aside(check_write, (self.path, size))
            except OSError:  # no process, or no descriptor is left
                self.next_at = now + AGAIN
            return False
        if self.fd < 0 or not select.select([self.fd], [], [], 0)[0]:
            return False
        with open(self.fd, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(self._pid, 0)
        self.fd, self.next_at = -1, now + AGAIN
        import pickle  # noqa: PLC0415

        return bool(answer) and not pickle.loads(answer)[1]  # noqa: S301 - of our own child

    def end(self) -> None:
        """End the child."""
        if self.fd >= 0:
            os.close(self.fd)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, os.WNOHANG)
            self.fd, self.next_at = -1, 0.0


def check_write(path: str, size: int) -> None:
    """Write a file of this size beside this path, and remove it.

    Raises:
        OSError: the disk does not take it.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(f"{path}.trial", "wb") as file:
        try:
            while size > 0:
                size -= file.write(bytes(min(size, 1 << 16)))
            file.flush()
            os.fsync(file.fileno())
        finally:
            os.unlink(file.name)


def _is_no_answer(error: BaseException) -> bool:
    from supervisor.host.patience import NoAnswerError  # noqa: PLC0415

    return isinstance(error, NoAnswerError)


def _copy_file(path: str, new: str) -> None:
    """Copy a database and its log. Both are as a killed process has left them."""
    import shutil  # noqa: PLC0415

    shutil.copyfile(path, new)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{path}-wal", f"{new}-wal")


def _remove(path: str) -> None:
    """Remove a database with the files beside it, the database first."""
    for beside in BESIDE:
        with suppress(FileNotFoundError):
            os.unlink(path + beside)
