"""@scribe: the helper that does all work on disks, so that no disk can block the parent.

It is one process with one loop and one thread. It consists of parts (`host.parts.Part`), which this module lists. A
disk may block it for any time: then tasks that write wait, but the parent never does. It may be killed at any
instruction, and its successor continues its work. It reads its work from the manifest (`store.manifest`).

For each file system other than that of the root directory it starts one more process of this program (`writers`). So a
file system that does not answer delays only the output, or the history, that goes there.

    python -m supervisor.helpers.scribe RUNTIME_DIR [DEVICE MEMORY]
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from functools import partial

from supervisor.core.words import in_words
from supervisor.helpers.historian import Database, Historian, LastLines
from supervisor.helpers.limiter import Limiter
from supervisor.helpers.sampler import Sampler
from supervisor.helpers.writers import Writers
from supervisor.host.clock import now
from supervisor.host.deadlines import Alarm
from supervisor.host.descriptors import POLL
from supervisor.host.inotify import IN_DELETE, IN_MOVED_TO, Watch
from supervisor.host.log import Log
from supervisor.host.mountpoints import MOUNTINFO
from supervisor.host.parts import Busy, Loop, Part
from supervisor.host.place import place_of
from supervisor.logs.output import Output
from supervisor.logs.share import OWN, Share
from supervisor.store import layout, manifest
from supervisor.store.troubles import Troubles

REMOVED = (FileNotFoundError, FileExistsError)
"""Errors of creating a file in a directory that is removed and that the supervisor creates again."""

MANIFEST_AGAIN = 1.0
"""Seconds until the next try to read the manifest."""


def parts(runtime_dir: str, troubles: Troubles, share: Share | None = None) -> list[Part]:
    """Return the parts of @scribe, in the order in which they are informed and ended. No `share` means all work."""
    share = share or Share(runtime_dir)
    say = Log().write
    output = Output(runtime_dir, troubles.report, share)
    database = Database(say, partial(troubles.show, "history"))
    sampler = Sampler(runtime_dir, database, say)
    historian = Historian(runtime_dir, database, LastLines(output.reads, output.tails.of))
    if share.device != OWN:
        return [output, sampler, historian]
    return [output, Limiter(runtime_dir, say), sampler, historian, Writers(runtime_dir, share, say)]


class Scribe:
    """The parts, the loop under them, and what they all look at."""

    def __init__(self, runtime_dir: str, device: str = OWN, busy: int = -1) -> None:
        """Begin. Do first the work that an earlier scribe has left undone.

        Args:
            runtime_dir: the supervisor's.
            device: the file system that this process is for.
            busy: memory in which this process notes since when it is at work; -1: no process reads that.
        """
        self._runtime_dir = runtime_dir
        self._parent = os.getppid()
        self._lock_path = layout.scribe_lock(runtime_dir, device)
        self._lock = _only_one(self._lock_path)
        self._loop = Loop()
        self._loop.blind = self._blind
        self._loop.busy = Busy(busy)
        self._share = Share(runtime_dir, device)
        self._ended = False
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # deliver the signals that came during the start
        self._watch = Watch(IN_MOVED_TO | IN_DELETE)
        self._watch.set((os.path.split(layout.manifest(runtime_dir)), os.path.split(self._lock_path)))
        self._reread = Alarm(lambda _: self._look_again())
        self._manifest: dict[str, object] = {}
        self._troubles = Troubles(runtime_dir, Log().write, device)
        self.parts = parts(runtime_dir, self._troubles, self._share)
        for part in self.parts:
            part.attach(self._loop)
        self._loop.watch(self._wake, lambda _: self._woken())
        self._loop.add_watch(self._watch, lambda _: self._check_manifest())
        self._mounts = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        self._loop.watch(self._mounts, lambda _: self._mounted(), select.EPOLLPRI)
        self._apply_manifest()

    def _woken(self) -> None:
        """Empty the pipe of the signals. Else the loop would never sleep again."""
        os.read(self._wake, 65536)

    def _end(self) -> None:
        self._ended = True

    def _blind(self, why: str) -> None:
        says = f"@scribe looks for new output and ended runs only every {POLL:g} s: {why}"
        self._troubles.report("inotify", says if why else "")

    def _check_manifest(self) -> None:
        """Look for a new manifest, or for none. While the kernel reports nothing, it is mostly the old one."""
        if self._watch.concerned() and (not self._watch.why or manifest.read(self._runtime_dir) != self._manifest):
            self._apply_manifest()

    def _apply_manifest(self) -> None:
        found = manifest.read(self._runtime_dir)
        if not found or not self._has_place():
            self._reread.at = now() + MANIFEST_AGAIN
        if not found:  # it is being removed, or no descriptor is left: the last manifest stays valid
            return
        self._manifest = found
        self._share.refresh()
        here = self._share.owns(f"{found.get('state_dir', '')}/x")
        without = {name: value for name, value in found.items() if name not in ("state_dir", "sample")}
        for part in self.parts:
            part.configure(found if here or not isinstance(part, Sampler | Historian) else without)

    def _has_place(self) -> bool:
        """Return whether the runtime directory is still the one that this process works in, or may become it again.

        A supervisor that lives makes a removed directory anew, and then replaces its helpers. Without one, a later
        supervisor never learns of this process: it would work beside another @scribe.
        """
        return os.getppid() == self._parent or place_of(self._lock_path) == place_of(self._lock)

    def _look_again(self) -> None:
        if self._has_place():
            self._apply_manifest()
        else:
            self._end()

    def _mounted(self) -> None:
        """Handle a mount or an unmount."""
        if self._share.refresh():
            self._apply_manifest()

    def run(self) -> None:
        """Run until SIGTERM, or until the runtime directory was removed and its supervisor is gone."""
        while not self._ended:
            self._loop.turn((*self.parts, self._reread), now)
        for part in self.parts:
            part.finish()


def _only_one(path: str) -> int:
    """Wait until no other scribe works in this runtime directory. The kernel releases the lock when its holder dies."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    return fd


def _as_a_writer(device: str = OWN, busy: str = "-1") -> tuple[str, int]:
    """Read the command line. A process for one file system ends with the process that started it (prctl(2))."""
    if device != OWN:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return device, int(busy)


PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def _keep_buffers() -> None:
    """Keep the memory of a block of output after its use (mallopt(3)).

    By default, malloc may return the memory to the kernel after each block, depending on its address. Then each block
    causes page faults again, which doubles the processor time of a flood.
    """
    with suppress(AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(threshold, 4 << 20)


def main() -> None:
    """Run the program."""
    _keep_buffers()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two FIFOs and a file for each instance
    try:
        os.makedirs(layout.outputs(sys.argv[1]), mode=0o700, exist_ok=True)
        scribe = Scribe(sys.argv[1], *_as_a_writer(*sys.argv[2:]))
    except REMOVED as error:
        sys.exit(f"@scribe: cannot start, the runtime directory was removed: {in_words(error)}")
    try:
        scribe.run()
    except BrokenPipeError:  # the supervisor's stdout has no reader any more
        sys.exit(0)


if __name__ == "__main__":
    main()
