"""Hand the run records from the parent to the scribe; the parent waits neither for the scribe nor for a disk.

The spool is a directory in the runtime directory, which is in memory. For each turn of its loop the parent writes one
file: a header, then one JSON line per run record. The file gets its name when it is complete. After that the parent
never changes it. Inotify wakes the scribe. The scribe writes the records into the history in one transaction, and then
removes the file. So:

- A scribe that dies before the removal finds the file again. A run record that is already in the history changes
  nothing there.
- A parent may die before a file has its name. It has written the run records into the journal before
  (`ended_runs.OWED`). So the next supervisor hands them over again.
- The names are nanoseconds of the monotonic clock: they sort in the order in which the runs ended.

While the scribe does not read (its disk hangs), the spool grows to LIMIT. After that the parent keeps run records in
memory, at most HELD of them. It merges those of a storm into one. It counts those that it cannot keep, and hands over
the count, too.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from supervisor.core import skip_record
from supervisor.core.run_record import LARGEST, RunRecord, alike, merge
from supervisor.core.utf8 import json_object
from supervisor.host import clock
from supervisor.host.lookup import with_reserve

LIMIT = 16 << 20
"""The maximum bytes of waiting files: some four thousand files, as each takes whole pages of memory."""

PAGE = 4096

RESERVE = 4
"""The size of the runtime directory, divided by this number, stays free for others. The journal's need is extra."""

HELD = 1000
"""The maximum number of run records in memory, when the spool is full."""

VERSION = 1

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Spool:
    """The parent's end of the spool."""

    def __init__(self, directory: str, limit: int = LIMIT) -> None:
        """Create the directory, and count the files that an earlier supervisor left there.

        Raises:
            OSError: it cannot be created.
        """
        self.directory = directory
        self.limit = limit
        self._unfinished = f"{directory}/unfinished"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._waiting = deque((name, _size(f"{directory}/{name}")) for name in waiting(directory))
        self._bytes = sum(size for _, size in self._waiting)
        self._held: list[RunRecord] = []
        self._newest: dict[str, int] = {}  # of each instance: the index of its last run record in `_held`
        self._lost = 0
        self._stuck = False
        self._claims = 0

    def put(self, records: list[RunRecord], claims: int = 0) -> str:
        """Hand these records over, or keep them. When this changes, return a sentence for the operator.

        `claims`: bytes of the runtime directory that the journal may still need.
        """
        self._claims = claims
        try:
            self._write_or_remake([*self._unwritten(), *records])
        except OSError as error:
            for record in records:
                self._hold(record)
            began, self._stuck = not self._stuck, True
            return f"the history cannot keep up ({error.strerror}): ended runs are kept in memory" if began else ""
        held, lost, was_stuck = len(self._held), self._lost, self._stuck
        self._held, self._newest, self._lost, self._stuck = [], {}, 0, False
        return f"the history keeps up again: {held} records had waited, {lost} runs are not in it" if was_stuck else ""

    def finish(self) -> int:
        """Write what is held, as a shutdown ends. Return how many records the scribe has not taken.

        Raises:
            OSError: these records cannot be read, or what is held cannot be written.
        """
        if self._unwritten():
            self._write(self._unwritten(), last=True)
        return sum(1 for name in waiting(self.directory) for _ in read(f"{self.directory}/{name}"))

    @property
    def has_held(self) -> bool:
        """Whether the parent keeps run records in memory."""
        return bool(self._held)

    def _write_or_remake(self, records: list[dict[str, Any]]) -> None:
        """Write a file, also after the directory was removed with its files."""
        try:
            self._write(records)
        except FileNotFoundError:
            os.makedirs(self.directory, mode=0o700)
            self._waiting.clear()
            self._bytes = 0
            self._write(records)

    def _unwritten(self) -> list[dict[str, Any]]:
        return [*([{"lost": self._lost}] if self._lost else []), *self._held]

    def _check_room(self) -> None:
        """Leave room in the runtime directory for others.

        Raises:
            OSError: the spool has its share.
        """
        if self._bytes > self.limit:
            self._forget_removed()
        if self._bytes > self.limit:
            raise OSError(11, "@scribe does not read")
        room = os.statvfs(self.directory)
        if room.f_bavail * room.f_frsize <= room.f_blocks * room.f_frsize // RESERVE + self._claims:
            raise OSError(28, "the runtime directory is nearly full")

    @with_reserve
    def _write(self, records: list[dict[str, Any]], *, last: bool = False) -> None:
        """Write a file. `last`: the room is no longer needed."""
        if not last:
            self._check_room()
        header = {"spool": VERSION, "clock": clock.offset()}
        data = ("\n".join(map(_encode, (header, *records))) + "\n").encode()
        name = f"{int(clock.now() * 1e9):020d}"
        fd = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(28, "no room in the runtime directory")
        finally:
            os.close(fd)
        os.rename(self._unfinished, f"{self.directory}/{name}")
        self._waiting.append((name, _pages(len(data))))
        self._bytes += _pages(len(data))

    def _forget_removed(self) -> None:
        """Stop counting the files that the scribe has removed; the scribe begins with the oldest."""
        while self._waiting and not os.path.exists(f"{self.directory}/{self._waiting[0][0]}"):
            self._bytes -= self._waiting.popleft()[1]

    def _hold(self, record: RunRecord) -> None:
        of_skip = "skipped" in record
        key = f"skipped {record['task']}" if of_skip else record["instance"]
        same, both = (skip_record.alike, skip_record.merge) if of_skip else (alike, merge)
        place = self._newest.get(key)
        if place is not None and same(self._held[place], record):
            self._held[place] = both(self._held[place], record)
        elif len(self._held) < HELD:
            self._newest[key] = len(self._held)
            self._held.append(record)
        else:
            self._lost += 1


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _size(path: str) -> int:
    try:
        return _pages(os.stat(path).st_size)
    except FileNotFoundError:  # the scribe has just removed it
        return 0


# -- the scribe's end -------------------------------------------------------------------------------------------------


def waiting(directory: str) -> list[str]:
    """Return the names of the waiting files, the oldest first."""
    try:
        return sorted(name for name in os.listdir(directory) if name.isdigit())
    except FileNotFoundError:
        return []


Reject = Callable[[bytes, str], object]
"""Receives a line that cannot be used, and the reason."""


def read(path: str, reject: Reject = lambda line, why: None) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, with moments as seconds since 1970; pass unusable lines to `reject`."""
    lines = [b""]
    with suppress(FileNotFoundError), open(path, "rb") as file:  # the runtime directory may be removed
        lines = file.read().split(b"\n")
    header = json_object(lines[0]) or {}
    offset = header.get("clock") if header.get("spool") == VERSION else None
    for line in filter(None, lines[1:]):
        record = json_object(line) or {}
        if not isinstance(offset, (int, float)):
            reject(line, f"its file is not of version {VERSION}")
        elif why := _unusable(record):
            reject(line, why)
        else:
            yield _timed(record, offset)


def _unusable(record: dict[str, Any]) -> str:
    """Return why a record cannot be used; "" when it can."""
    if not record:
        return "incomplete, or not a record"
    if "lost" not in record:
        return skip_record.fault(record)
    lost = record["lost"]
    return "" if isinstance(lost, (int, float)) and 0 <= lost < LARGEST else "not a number"


def _timed(record: dict[str, Any], clock: float) -> dict[str, Any]:
    for key in ("began", "ready", "ended", "last_ended", "at"):
        if record.get(key) is not None:
            record[key] = round(record[key] + clock, 3)
    return record


def remove(directory: str, names: list[str]) -> None:
    """Remove files whose records are in the history."""
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{name}")
