"""The part of @scribe that runs one process for each file system to which output, or the history, goes.

A file system that does not answer (a dead NFS, a FUSE whose program hangs) blocks the process that writes there.
Perhaps not even SIGKILL ends that process. So @scribe itself writes only to the file system of the root directory
(`logs.share`). For each other file system in the manifest, it starts the same program once more.

When such a process hangs, the output of its tasks waits in their FIFOs. All other output goes on. `status` names the
file system. When a process cannot be started, @scribe tries again. Until then the output waits.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.parts import Busy, Loop
from supervisor.logs.names import files
from supervisor.store.statefile import TROUBLES, WAITS

if TYPE_CHECKING:
    from supervisor.host.mountpoints import Mounted
    from supervisor.logs.share import Share

HANGS_AFTER = 5.0
"""Seconds of one turn of a writer. After a longer turn, its file system counts as one that does not answer."""

LOOK_EVERY = 2.0
"""Seconds between two looks at the writers, as long as there is one."""

AGAIN = 1.0
"""Seconds until a writer that has ended, or could not be started, is started again."""

TO_END = 3.0
"""Seconds that the writers have for their end. A writer that still hangs then ends with us."""


class Writer:
    """The process for one file system."""

    def __init__(self, mounted: Mounted) -> None:
        self.mounted = mounted
        self.memory = os.memfd_create("busy")
        os.truncate(self.memory, 8)
        self.busy = Busy(self.memory)
        self.pid = 0  # 0: there is none
        self.pidfd = -1
        self.start_at = 0.0  # when it is started, while there is none
        self.hangs = False

    def start(self, now: float) -> None:
        """Start the process.

        Raises:
            OSError: no process or descriptor is left.
        """
        self.busy.begins(now)
        os.set_inheritable(self.memory, True)
        words = [*sys.argv[1:2], self.mounted.device, str(self.memory)]
        try:
            self.pid = os.posix_spawn(sys.executable, _command(words), os.environ)
        finally:
            os.set_inheritable(self.memory, False)
        self.pidfd = os.pidfd_open(self.pid)

    def ended(self, now: float) -> None:
        """Note that the process has ended. The next one is started in a moment."""
        os.close(self.pidfd)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.pid, self.pidfd, self.start_at = 0, -1, now + AGAIN

    def signal(self, number: int) -> None:
        """Send the process a signal, if it exists."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Writers:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, share: Share, say: Callable[[str, str], None]) -> None:
        self._runtime_dir = runtime_dir
        self._share = share
        self._say = say
        self._writers: dict[str, Writer] = {}  # by device
        self._leaving: list[Writer] = []  # no longer needed, not yet ended
        self._loop: Loop | None = None
        self._next: float | None = None
        self._report_hangs()

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`."""
        self._loop = loop

    def configure(self, manifest: dict[str, Any]) -> None:
        """See `Part.configure`."""
        needed = {mounted.device: mounted for path in _paths(manifest) if (mounted := self._share.mounted(path))}
        for device in self._writers.keys() - needed.keys():
            writer = self._writers.pop(device)
            writer.signal(signal.SIGTERM)
            self._leaving += [writer] * bool(writer.pid)
        for device, mounted in needed.items():
            if device not in self._writers:
                self._writers[device] = Writer(mounted)
        self._next = clock.now() if self._writers else None

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._next

    def due(self, now: float) -> None:
        """See `Timed`."""
        for writer in self._writers.values():
            if not writer.pid and writer.start_at <= now:
                self._start(writer, now)
            self._check(writer, now)
        self._next = now + (LOOK_EVERY if all(writer.pid for writer in self._writers.values()) else AGAIN)

    def _start(self, writer: Writer, now: float) -> None:
        try:
            writer.start(now)
        except OSError as error:
            writer.signal(signal.SIGKILL)
            writer.pid, writer.start_at = 0, now + AGAIN
            what = f"cannot start the writer for {writer.mounted.point}, its output waits"
            self._say("warning", f"{what}: {in_words(error)}")
            return
        if self._loop:
            self._loop.watch(writer.pidfd, lambda _: self._ended(writer))

    def _ended(self, writer: Writer) -> None:
        if self._loop:
            self._loop.unwatch(writer.pidfd)
        writer.ended(clock.now())
        if writer in self._leaving:
            self._leaving.remove(writer)
            with suppress(OSError):  # it had no troubles, or the runtime directory is gone
                TROUBLES.part(writer.mounted.device).remove(self._runtime_dir)
        else:
            self._next = clock.now()

    def _check(self, writer: Writer, now: float) -> None:
        since = writer.busy.since
        hangs = bool(writer.pid and since and now - since >= HANGS_AFTER)
        if hangs == writer.hangs:
            return
        writer.hangs = hangs
        point = writer.mounted.point
        if hangs:
            self._say("error", f"{_why(point)}; check its server, or unmount it (umount -f {point})")
        else:
            self._say("info", f"the file system at {point} answers again: the output that waited is written")
        self._report_hangs()

    def _report_hangs(self) -> None:
        hang = [writer.mounted.point for writer in self._writers.values() if writer.hangs]
        with suppress(OSError):  # the runtime directory is full or gone; it is in the log
            WAITS.write(self._runtime_dir, {point: _why(point) for point in hang})

    def finish(self) -> None:
        """See `Part.finish`."""
        poll, until = select.poll(), clock.now() + TO_END
        waited = [writer for writer in (*self._writers.values(), *self._leaving) if writer.pid]
        for writer in waited:
            writer.signal(signal.SIGTERM)
            poll.register(writer.pidfd, select.POLLIN)
        while waited and (rest := until - clock.now()) > 0:
            for fd, _ in poll.poll(rest * 1000):
                poll.unregister(fd)
                waited = [writer for writer in waited if writer.pidfd != fd]


def _command(words: list[str]) -> list[str]:
    """Return the command of this program with other words.

    The program may be installed, or it may be in a place that only our own sys.path has, such as a checkout. The
    directory that it was started in does not matter (`-P`).
    """
    start = "from supervisor.helpers.scribe import main; main()"
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if home not in sys.path[1:]:  # the first is the directory of the script, or the current one
        start = f"import sys; sys.path.insert(0, {home!r}); {start}"
    return [sys.executable, "-P", "-X", "utf8", "-c", start, *words]


def _why(point: str) -> str:
    return f"the file system at {point} does not answer: output for it waits, all other output is written"


def _paths(manifest: dict[str, Any]) -> set[str]:
    """Return every path of the manifest to which something is written."""
    log_dir, tasks = manifest.get("log_dir", ""), manifest.get("tasks", {})
    found = {f"{folder}/x" for folder in (log_dir, manifest.get("state_dir", "")) if folder}
    for key in manifest.get("instances", ()):
        log = tasks.get(key.rpartition(":")[0], {}).get("log", {})
        found.update(files(key, log.get("to", "file"), log.get("stderr", "merged"), log_dir).values())
    return found
