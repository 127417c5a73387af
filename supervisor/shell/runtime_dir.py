"""Hold the runtime directory for one supervisor, and create again what is removed from it.

Two supervisors over one directory would start every task twice. Locks prevent that. They die with their holder:

- A record lock on the file `lock` (fcntl(2)). No child inherits it.
- Two guards: sockets with abstract names (unix(7)). They are in no directory. So they also hold if the runtime
  directory is removed or renamed, and a second supervisor creates it.

The two guards have different names:

- One name consists of the directory's device and path. So it also holds for a process that sees the device in another
  mount namespace.
- The other name consists of the mount namespace, its root and the path. So it also holds if something is mounted or
  unmounted there.

An errand of a supervisor that was killed still has the guards after its fork. Its first act is to close them. A new
supervisor waits for that.

An abstract name has no owner and no rights, so any user could take it first. So it counts only if root or our own user
holds it.

The kernel reports two kinds of changes:

- By inotify(7), if somebody removes or renames the directory or one of the files that `watched` lists.
- By poll(2) on /proc/self/mountinfo, any mount or unmount. It may replace the directory.

The supervisor makes the directory and its files (`host.kept`) anew at once, with everything that the journal holds.
Then the helpers are restarted. So a `rm -r` or an `umount -l` costs only a moment.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
from collections.abc import Callable, Iterable
from zlib import crc32

from supervisor.control.access import Peer, peer_of
from supervisor.control.server import InUseError
from supervisor.core.words import in_words
from supervisor.host import clock, procfs
from supervisor.host.inotify import IN_DELETE, Watch
from supervisor.host.interface import MadeAnew, Occurrence
from supervisor.host.kept import Kept
from supervisor.host.loop import Loop
from supervisor.host.place import place_of
from supervisor.store import layout

AGAIN = 1.0
"""Seconds until the next try, if something could not be created again."""

LET_GO = 5.0
"""Seconds that a child of a dead supervisor may need on a busy machine to close what it has inherited."""

_IN_MOVED_FROM = 0x00000040

Log = Callable[[str, str], None]


class TakenError(Exception):
    """Another supervisor has the directory, or it cannot be used. The text says which."""


class RuntimeDir:
    """The runtime directory of one supervisor."""

    def __init__(self, directory: str, log: Log, *, lock: int = -1, guards: tuple[int, ...] = ()) -> None:
        """Take the directory. An earlier program of this process has held `lock` and `guards` all the time.

        Raises:
            TakenError: another supervisor has it, or it cannot be used.
        """
        self.directory = directory
        self._again: float | None = None  # when to check, and to create it again
        self._log = log
        held = [socket.socket(fileno=fd) for fd in guards if fd >= 0]
        self._guards: dict[bytes, socket.socket | None] = {guard.getsockname(): guard for guard in held}
        self._lock = Lock(layout.lock(directory), lock)
        self._kept: tuple[Kept, ...] = ()
        self._watch: Watch | None = None
        try:
            self._guard(LET_GO)
            if lock < 0:
                self._lock.renew()
        except TakenError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise TakenError(f"cannot lock {directory}: {in_words(error)}") from None

    def close(self) -> None:
        """Release the directory for others."""
        for guard in filter(None, self._guards.values()):
            guard.close()
        if self._lock.fd >= 0:
            os.close(self._lock.fd)

    def watch(self, loop: Loop, kept: Iterable[Kept]) -> None:
        """Make anew what is removed from now on: the lock first, then these in their order.

        Raises:
            OSError: it cannot be watched.
        """
        self._kept = (self._lock, *kept)
        self._seen = place_of(self.directory)
        mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        loop.watch(mounts, lambda _: [], select.EPOLLPRI)  # it need only wake up: see `next_deadline`
        self._watch = Watch(IN_DELETE | _IN_MOVED_FROM)
        loop.add_watch(self._watch, self._on_removal)  # every second, while inotify is refused
        self._watch_files()

    @property
    def held(self) -> tuple[int, ...]:
        """The descriptors of the lock and of the two guards, -1 for one that does not exist."""
        guards = (self._guards[name] for name in self._names)
        return self._lock.fd, *(guard.fileno() if guard else -1 for guard in guards)

    def next_deadline(self) -> float | None:
        """See `Timed`; 0.0: another directory is in its place.

        The kernel reports a mount once, to the first poll. That may be the select(2) above the epoll (`descriptors`).
        Then no reader gets the report. So the supervisor looks whenever it wakes up.
        """
        return self._again if place_of(self.directory) == self._seen else 0.0

    def due(self, now: float) -> list[Occurrence]:
        """Make anew what is gone, and look again a moment later: a removal may still go on. Report what was made."""
        self._seen, self._again = place_of(self.directory), None
        made = False
        try:
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            self._watch_files()
            self._guard(0.0)
            for kept in self._kept:
                if not kept.is_there():
                    kept.renew()
                    made = True
        except (OSError, InUseError, TakenError) as error:
            self._again = now + AGAIN
            self._log("error", f"cannot create {self.directory} again, which was removed: {in_words(error)}")
            return []
        if not made:
            return []
        self._again = now + AGAIN
        self._log("warning", f"somebody has removed {self.directory}, or files in it: made anew")
        return [MadeAnew()]

    def _on_removal(self, _: int) -> list[Occurrence]:
        if self._watch and self._watch.concerned():
            self._again = 0.0
        return []

    def _watch_files(self) -> None:
        if self._watch:
            self._watch.set(tuple(map(os.path.split, watched(self.directory))))

    def _guard(self, patience: float) -> None:
        """Hold the guards' names for the place where the directory is now, and no others.

        Raises:
            TakenError: a process with a right to a name holds it.
        """
        names = _names(self.directory)
        for name in names:
            if name not in self._guards:
                self._guards[name] = _guard(name, self.directory, self._log, patience)
        self._names = names
        for name in self._guards.keys() - set(names):
            if guard := self._guards.pop(name):
                guard.close()


class Lock:
    """The lock file. A removed one stays locked, too: somebody may give it its name back."""

    def __init__(self, path: str, fd: int = -1) -> None:
        """`fd`: this process has already locked the file."""
        self.fd = fd
        self._path = path

    def is_there(self) -> bool:
        """See `Kept`."""
        return place_of(self._path) == place_of(self.fd)

    def renew(self) -> None:
        """See `Kept`.

        Raises:
            TakenError: another supervisor has it, or it cannot be opened.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TakenError(f"cannot open {self._path}: {error.strerror}") from None
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 20).decode(errors="replace").strip()
            os.close(fd)
            raise TakenError(_taken(holder, os.path.dirname(self._path))) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self.fd = fd


def watched(directory: str) -> tuple[str, ...]:
    """Return what only the supervisor makes in the directory. The helpers have files of their own."""
    of = (layout.lock, layout.journal, layout.control_socket, layout.fd_holder, layout.outputs)
    return tuple(path(directory) for path in of)


def _names(directory: str) -> tuple[bytes, bytes]:
    """Return the two names of the guards: by the device, and by the mount namespace and its root.

    No `rm` and no `umount` can remove them.
    """
    path, root = os.path.realpath(directory), os.stat("/")
    namespace = os.stat("/proc/self/ns/mnt").st_ino
    places = f"{os.stat(directory).st_dev:x}", f"{namespace:x}.{root.st_dev:x}.{root.st_ino:x}"
    whole = crc32(path.encode(errors="surrogateescape"))
    device, here = (f"\0supctl:{place}:{whole:08x}:{path[-60:]}".encode(errors="surrogateescape") for place in places)
    return device[:107], here[:107]


def _guard(address: bytes, directory: str, log: Log, patience: float) -> socket.socket | None:
    """Take one of these names. Return None if a process without any right to it holds it.

    Also return None if this process itself holds it by a descriptor of an earlier program. A program between the two
    may have passed the descriptor on without knowing it (`supctl upgrade`).
    """
    guard = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    holder, deadline = None, clock.now() + patience
    while not _bound(guard, address):
        holder = holder or _holder(address)
        lives = holder is not None and procfs.stat(holder.pid).alive
        if not lives and clock.now() < deadline:
            clock.sleep(0.005)
            continue
        guard.close()
        if holder and holder.pid == os.getpid():
            return None
        if holder and holder.uid in (0, os.geteuid()):
            raise TakenError(_taken(str(holder.pid or ""), directory, lives=lives))
        who = f"uid {holder.uid} (pid {holder.pid})" if holder else "somebody"
        log(
            "warning",
            f"{who} holds a socket name that keeps a second supervisor out of {directory}; its lock still does",
        )
        return None
    guard.listen(128)  # nothing is accepted: each refused supervisor takes one place in the queue
    return guard


def _bound(guard: socket.socket, address: bytes) -> bool:
    try:
        guard.bind(address)
    except OSError:
        return False
    return True


def _holder(address: bytes) -> Peer | None:
    """Return the process that began to listen at a name, or None if none does yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(address)
            return peer_of(probe)
        except ConnectionRefusedError:
            return None
        except OSError:  # the queue is full of refused supervisors: to be careful, take the holder for one of ours
            return Peer(0, os.geteuid(), os.getegid(), ())


def _taken(holder: str, directory: str, *, lives: bool = True) -> str:
    if holder and not lives:
        return f"a child of a dead supervisor (pid {holder}) still holds the lock of {directory}"
    return f"another supervisor (pid {holder or 'unknown'}) runs with {directory}"
