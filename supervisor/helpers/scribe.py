"""@scribe: the helper that does everything that touches a disk, so that no disk can hold up the parent.

One process, one loop, one thread, made of parts (`part.Part`), which are listed here. It may block as long as the disk
likes: tasks that write then wait, the parent never does. It may be killed at any instruction, and its successor goes
on where it was. It learns from the plan (`store.plan`) what there is to do.

    python -m supervisor.helpers.scribe RUNTIME_DIR
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import sys
from contextlib import suppress
from functools import partial

from supervisor.core.words import in_words
from supervisor.helpers.historian import Database, Historian, Said
from supervisor.helpers.limiter import Limiter
from supervisor.helpers.part import Loop, Part
from supervisor.helpers.sampler import Sampler
from supervisor.host.clock import now
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.host.log import Log
from supervisor.logs.output import Output
from supervisor.store import plan
from supervisor.store.told import TROUBLES

REMOVED = (FileNotFoundError, FileExistsError)
"""What it is like to make something in a directory while somebody removes that, and the supervisor makes it anew."""


def parts(runtime_dir: str) -> list[Part]:
    """Everything that the scribe does, in the order in which it is told and ended."""
    output = Output(runtime_dir)
    say = Log().write
    keeper = Database(say, partial(_troubled, runtime_dir))
    _troubled(runtime_dir, "")  # what an earlier one has said is seen anew
    sampler = Sampler(runtime_dir, keeper, say)
    historian = Historian(runtime_dir, keeper, Said(output.reads, output.tails.of), sampler.watched)
    return [output, Limiter(runtime_dir, say), sampler, historian]


def _troubled(runtime_dir: str, why: str) -> None:
    with suppress(OSError):  # no room, or somebody removes the directory; it is in the log anyway
        TROUBLES.write(runtime_dir, {"why": why} if why else {})


class Scribe:
    """The parts, the loop under them, and what they all look at."""

    def __init__(self, runtime_dir: str) -> None:
        """Begins; what an earlier scribe has left undone is done first."""
        self._runtime_dir = runtime_dir
        self._lock = _only_one(f"{runtime_dir}/scribe.lock")
        self._loop = Loop()
        self._ended = False
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.signal(signal.SIGHUP, lambda *_: self._replace())
        self._replaced = False
        self._watch = Watch(IN_MOVED_TO)
        self._watch.set(((plan.folder(runtime_dir), plan.NAME),))
        self.parts = parts(runtime_dir)
        for part in self.parts:
            part.attach(self._loop)
        self._loop.watch(self._wake, lambda _: None)
        self._loop.watch(self._watch.fd, lambda _: self._look())
        self._tell()

    def _end(self) -> None:
        self._ended = True

    def _replace(self) -> None:
        self._replaced = True

    def _look_anew(self) -> None:
        """The parent has made the runtime directory anew, which somebody had removed."""
        self._replaced = False
        os.makedirs(plan.folder(self._runtime_dir), mode=0o700, exist_ok=True)
        self._lock = _only_one(f"{self._runtime_dir}/scribe.lock")
        self._watch.set(((plan.folder(self._runtime_dir), plan.NAME),))
        for part in self.parts:
            part.replaced()
        self._tell()

    def _look(self) -> None:
        if self._watch.concerned():
            self._tell()

    def _tell(self) -> None:
        found = plan.read(self._runtime_dir)
        for part in self.parts if found else ():  # without one, as somebody is removing it all, the last one holds
            part.planned(found)

    def run(self) -> None:
        """Until SIGTERM. SIGHUP: the runtime directory is another one."""
        while not self._ended:
            self._loop.turn(self.parts, now)
            if self._replaced:
                with suppress(*REMOVED):  # once more: we are told once more
                    self._look_anew()
        for part in self.parts:
            part.finish()


def _only_one(path: str) -> int:
    """Waits until no other scribe works in this runtime directory. The lock dies with its holder."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    return fd


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def _keep_buffers() -> None:
    """What a block has taken of memory stays ours (mallopt(3)).

    As it is, it may be given back and faulted in again for each block, by chance of where it lies: that doubles the
    processor time of a flood.
    """
    with suppress(AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(threshold, 4 << 20)


def main() -> None:
    """The program."""
    _keep_buffers()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two FIFOs and a file for each instance
    try:
        os.makedirs(plan.folder(sys.argv[1]), mode=0o700, exist_ok=True)
        scribe = Scribe(sys.argv[1])
    except REMOVED as error:
        sys.exit(f"@scribe: cannot begin in a runtime directory that somebody removes: {in_words(error)}")
    try:
        scribe.run()
    except BrokenPipeError:  # nobody reads the supervisor's stdout any more
        sys.exit(0)


if __name__ == "__main__":
    main()
