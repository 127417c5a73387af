"""The spool: how the parent hands accounts of ended runs to the scribe, without waiting for it and without a disk.

A directory in the runtime directory, which is memory. What one turn of the parent's loop has to tell is one file: a
header, then a JSON line per account; it gets its name when it is complete, and is never touched again. The scribe is
woken by inotify, writes what it finds into the history in one transaction, and removes the file after that. So:

- A scribe that dies in between finds the file again. An account that is in the history already changes nothing there.
- A parent that dies before a file has its name has written its accounts in the journal before (`parent.OWED`); so the
  next supervisor hands them over once more.
- Names are the nanoseconds of the monotonic clock: they sort in the order in which the runs ended.

While nobody reads (a scribe on a disk that hangs), the spool grows to LIMIT. From there on the parent keeps accounts in
memory, storms merged into one, at most HELD of them; what is beyond that is counted, and the count is kept too.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from supervisor.host import clock
from supervisor.store.account import Account, alike, merge

DIRECTORY = "history"
"""Its name in the runtime directory."""

LIMIT = 16 << 20
"""Bytes of files that wait to be read; in memory each file takes whole pages, so these are some four thousand."""

PAGE = 4096

RESERVE = 4
"""One part of so many of the runtime directory's memory is left to others, beside what the journal may yet need."""

HELD = 1000
"""Accounts in memory, when the spool is full."""

VERSION = 1

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Spool:
    """The parent's end."""

    def __init__(self, directory: str, limit: int = LIMIT) -> None:
        """Makes the directory, and counts what an earlier supervisor left there.

        Raises:
            OSError: it cannot be made.
        """
        self.directory = directory
        self.limit = limit
        self._unfinished = f"{directory}/unfinished"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._waiting = deque((name, _size(f"{directory}/{name}")) for name in waiting(directory))
        self._bytes = sum(size for _, size in self._waiting)
        self._held: list[Account] = []
        self._newest: dict[str, int] = {}  # of each instance: where its last account stands in `_held`
        self._lost = 0
        self._stuck = False
        self._claims = 0

    def put(self, records: list[Account], claims: int = 0) -> str:
        """Hands these over, or keeps them. Returns a sentence for the operator when that has become different.

        `claims`: bytes of the runtime directory that the journal may yet need.
        """
        self._claims = claims
        try:
            self._anyhow([*self._owed(), *records])
        except OSError as error:
            for record in records:
                if "run" in record:
                    self._hold(record)
            began, self._stuck = not self._stuck, True
            return f"the history cannot keep up ({error.strerror}): ended runs are kept in memory" if began else ""
        held, lost, was_stuck = len(self._held), self._lost, self._stuck
        self._held, self._newest, self._lost, self._stuck = [], {}, 0, False
        return f"the history keeps up again: {held} accounts had waited, {lost} runs are not in it" if was_stuck else ""

    def _anyhow(self, records: list[dict[str, Any]]) -> None:
        """Also when somebody has removed the directory, with all that was in it."""
        try:
            self._write(records)
        except FileNotFoundError:
            os.makedirs(self.directory, mode=0o700)
            self._waiting.clear()
            self._bytes = 0
            self._write(records)

    def _owed(self) -> list[dict[str, Any]]:
        return [*([{"lost": self._lost}] if self._lost else []), *self._held]

    def _write(self, records: list[dict[str, Any]]) -> None:
        if self._bytes > self.limit:
            self._look()
        if self._bytes > self.limit:
            raise OSError(11, "its scribe does not read")
        room = os.statvfs(self.directory)
        if room.f_bavail * room.f_frsize <= room.f_blocks * room.f_frsize // RESERVE + self._claims:
            raise OSError(28, "the runtime directory is nearly full")
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

    def _look(self) -> None:
        """Counts off what the scribe has removed; it begins with the oldest."""
        while self._waiting and not os.path.exists(f"{self.directory}/{self._waiting[0][0]}"):
            self._bytes -= self._waiting.popleft()[1]

    def _hold(self, record: Account) -> None:
        place = self._newest.get(record["instance"])
        if place is not None and alike(self._held[place], record):
            self._held[place] = merge(self._held[place], record)
        elif len(self._held) < HELD:
            self._newest[record["instance"]] = len(self._held)
            self._held.append(record)
        else:
            self._lost += 1


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _size(path: str) -> int:
    try:
        return _pages(os.stat(path).st_size)
    except FileNotFoundError:  # the scribe was faster
        return 0


# -- the scribe's end -------------------------------------------------------------------------------------------------


def waiting(directory: str) -> list[str]:
    """The names of the files that are there, the oldest first."""
    try:
        return sorted(name for name in os.listdir(directory) if name.isdigit())
    except FileNotFoundError:
        return []


def read(path: str) -> Iterator[dict[str, Any]]:
    """What a file tells, with its moments as seconds since 1970. A torn or unknown line, or file, is left out."""
    lines = [b""]
    with suppress(FileNotFoundError), open(path, "rb") as file:  # somebody removes the runtime directory
        lines = file.read().split(b"\n")
    header = _parse(lines[0])
    if header.get("spool") != VERSION:
        return
    for line in lines[1:-1]:  # what follows the last newline is torn, or nothing
        record = _parse(line)
        if record:
            yield _timed(record, header["clock"])


def _timed(record: dict[str, Any], clock: float) -> dict[str, Any]:
    for key in ("began", "ready", "ended", "last_ended"):
        if record.get(key) is not None:
            record[key] = round(record[key] + clock, 3)
    return record


def _parse(line: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict):
            return record
    return {}


def remove(directory: str, names: list[str]) -> None:
    """What is in the history is not needed any more."""
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{name}")
