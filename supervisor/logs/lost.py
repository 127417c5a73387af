"""Count lost output, and report it: in the log file itself, and to the parent for `status`, events and alerts.

A loss is on record (`logs.sums`) before its block is taken out of the FIFO. So a scribe that is killed forgets none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from supervisor.host import clock
from supervisor.host.deadlines import Alarm
from supervisor.logs.file import LogFile, Loss
from supervisor.logs.pump import Pump
from supervisor.logs.stream import Stream
from supervisor.logs.sums import Sums, mark_of
from supervisor.store import layout
from supervisor.store.statefile import LOSSES

REPORT_SOON = 0.5
"""Seconds from a loss to its report, which includes other losses of the same moment."""

REPORT_EVERY = 10.0
"""Seconds between two reports of lost output. Each report wakes the supervisor."""

RETRY_EVERY = 2.0
"""Seconds between two checks whether a file has room for a line about its lost output."""

_INSTANCE, _FILE = "instance ", "file "
"""Prefixes of the names of sums: the total loss of an instance, and the loss that a file does not report yet."""


class Lost:
    """The output that one reader has lost."""

    def __init__(self, runtime_dir: str, device: str, pump: Pump, files: Callable[[], Iterable[LogFile]]) -> None:
        """Take over what an earlier reader of the same files has lost.

        Args:
            runtime_dir: the supervisor's.
            device: see `Share`.
            pump: looks into a FIFO.
            files: returns the log files that are in use.
        """
        self._runtime_dir = runtime_dir
        self._pump = pump
        self._files = files
        self._report = Alarm(self._report_now)  # to the parent
        self._in_files = Alarm(self._report_in_files)  # in the files
        self.alarms = (self._report, self._in_files)
        self._reported = -REPORT_EVERY  # the time of the last report
        self._statefile = LOSSES.part(device)
        self._sums = Sums(layout.scribe_losses(runtime_dir, device), self._is_in_fifo)
        self._total = {**self._statefile.read(runtime_dir), **_of_instances(self._sums)}  # by instance
        if self._total:  # an earlier reader may not have reported them
            self._report.at = clock.now() + REPORT_SOON

    def add(self, stream: Stream, loss: Loss, block: bytes) -> None:
        """Count a loss, before its block is taken out of the FIFO."""
        key = stream.origin.key
        before = self._total.get(key, {"bytes": 0, "lines": 0})
        total = {"bytes": before["bytes"] + loss.bytes, "lines": before["lines"] + loss.lines}
        self._total[key] = {**total, "why": loss.why, "at": clock.stamp()}
        sums = {f"{_INSTANCE}{key}": self._total[key]} | (_missing(stream.file) if stream.file else {})
        self._sums.record(sums, mark_of(stream.fifo, block))
        self._in_files.no_later_than(clock.now() + RETRY_EVERY)
        self._report.no_later_than(max(clock.now() + REPORT_SOON, self._reported + REPORT_EVERY))

    def record(self, file: LogFile) -> None:
        """Record for the next reader what a file does not report yet; nothing, if it has just reported all of it."""
        self._sums.record(_missing(file))

    def restore(self, file: LogFile) -> None:
        """Let a file that was just opened know what it does not report yet."""
        if missing := self._sums.newest.get(f"{_FILE}{file.path}"):
            file.restore_loss(missing)
            self._in_files.no_later_than(clock.now())

    def report_in(self, file: LogFile, now: float) -> None:
        """Write the line about lost output to a file, if it has room."""
        if file.lost.bytes:
            file.report_loss((now, clock.wall()))
            if not file.lost.bytes:
                self.record(file)

    def finish(self) -> None:
        """Leave everything to the next reader."""
        self._sums.renew()  # somebody may have removed them
        if self._report.at is not None:
            self._report_now(clock.now())

    def _report_in_files(self, now: float) -> None:
        for file in self._files():
            self.report_in(file, now)
        self._in_files.at = now + RETRY_EVERY if any(file.lost.bytes for file in self._files()) else None

    def _report_now(self, now: float) -> None:
        self._report.at, self._reported = None, now
        try:
            self._statefile.write(self._runtime_dir, self._total)
        except OSError:  # no room in the runtime directory: the sums stay, and are reported later
            self._report.at = now + RETRY_EVERY

    def _is_in_fifo(self, block: list[Any]) -> bool:
        """Return whether a block, given as `sums.mark_of` returns it, is still in its FIFO."""
        fifo, count, _ = block
        folder = layout.outputs(self._runtime_dir)
        try:
            fd = os.open(f"{folder}/{os.path.basename(fifo)}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            found = self._pump.peek(fd, count) or b""
            return mark_of(fifo, found) == block and found not in (found + found)[1:-1]
        except OSError:
            return False
        finally:
            os.close(fd)


def _missing(file: LogFile) -> dict[str, dict[str, Any]]:
    return {f"{_FILE}{file.path}": {**file.missing, "at": clock.stamp()}}


def _of_instances(sums: Sums) -> dict[str, dict[str, Any]]:
    return {name.removeprefix(_INSTANCE): one for name, one in sums.newest.items() if name.startswith(_INSTANCE)}
