"""The runtime directory under a living supervisor: it is nobody else's, and what is removed from it is made anew.

Two supervisors over one directory would start every task twice. Locks forbid it, which die with their holder:

- A record lock on the file `lock` (fcntl(2)). No child inherits it.
- Guards: sockets with abstract names (unix(7)). They are in no directory, so that they hold also when somebody removes
  or renames the runtime directory, and a second supervisor makes that anew. One name is made of the directory's device
  and path; so it holds for who sees that device in another mount namespace, too. The other one is made of the mount
  namespace, its root and the path; so it holds also when something is mounted there, or unmounted. A child of a
  supervisor that was killed (an errand) has them from its fork to its first act, which is to close them: that is
  waited for.

A name without a file has no owner and no rights: any user could take it first. So it counts only if root or we
ourselves hold it.

inotify(7) tells when the directory itself or one of its FILES is removed or renamed, and poll(2) on
/proc/self/mountinfo when anything is mounted or unmounted, which may take the place of the directory. They are made
anew at once, with everything that the journal has to say: a `rm -r` or an `umount -l` costs nothing but a moment.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
from collections.abc import Callable
from zlib import crc32

from supervisor.control.access import Peer, peer_of
from supervisor.control.server import InUseError, Server
from supervisor.core.words import in_words
from supervisor.host import clock, procfs
from supervisor.host.inotify import IN_DELETE, Watch
from supervisor.host.interface import Occurrence
from supervisor.host.keeper import NAME as KEEPER
from supervisor.host.loop import Loop
from supervisor.host.place import place_of
from supervisor.store.records import Journal
from supervisor.upgrade import PROGRAM, Upgrade

AGAIN = 1.0
"""Seconds until what could not be made anew is tried again."""

LET_GO = 5.0
"""Seconds that a child of a dead supervisor may need on a busy machine until it lets go of what it has inherited."""

FILES = ("lock", "journal", "supervisor.sock", KEEPER, PROGRAM)
"""What the supervisor needs and nobody else makes: the helpers have files of their own."""

_IN_MOVED_FROM = 0x00000040

Log = Callable[[str, str], None]


class TakenError(Exception):
    """Another supervisor is there, or nobody can be; the text says which."""


class Premises:
    """The runtime directory of one supervisor."""

    def __init__(self, directory: str, log: Log, *, lock: int = -1, guards: tuple[int, ...] = ()) -> None:
        """Takes it; `lock` and `guards` are what an earlier program of this process has held all the while.

        Raises:
            TakenError: it is somebody else's, or cannot be used.
        """
        self.directory = directory
        self.again: float | None = None  # when to try once more to make it anew
        self._log = log
        held = [socket.socket(fileno=fd) for fd in guards if fd >= 0]
        self._guards: dict[bytes, socket.socket | None] = {guard.getsockname(): guard for guard in held}
        self._lock = lock
        self._watch: Watch | None = None
        try:
            self._guard(LET_GO)
            self._lock = lock if lock >= 0 else _lock(f"{directory}/lock")
        except TakenError:
            self.close()
            raise

    def close(self) -> None:
        """Somebody else may have it."""
        for guard in filter(None, self._guards.values()):
            guard.close()
        if self._lock >= 0:
            os.close(self._lock)

    def keep(self, loop: Loop, server: Server, mode: int, journal: Journal, upgrade: Upgrade) -> None:
        """From now on what is removed is made anew; the FIFOs' `keeper` by the plan that follows (`planning`).

        Raises:
            OSError: it cannot be watched.
        """
        self._server, self._mode, self._journal, self._upgrade = server, mode, journal, upgrade
        self._socket = place_of(f"{self.directory}/supervisor.sock")
        self._seen = place_of(self.directory)
        mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        loop.watch(mounts, lambda _: [], select.EPOLLPRI)  # it need only wake up: see `disturbed`
        self._watch = Watch(IN_DELETE | _IN_MOVED_FROM)
        loop.watch(self._watch.fd, self._touched)
        self._look()

    @property
    def held(self) -> tuple[int, ...]:
        """The descriptors of the lock and of the two guards; -1: there is none."""
        guards = (self._guards[name] for name in self._names)
        return self._lock, *(guard.fileno() if guard else -1 for guard in guards)

    def disturbed(self, now: float) -> bool:
        """Whether `mend` is due. Asked in each turn of the loop.

        Of a mount the kernel tells once, whoever polls first: that may be the select(2) above the epoll, and no reader
        hears of it (`descriptors`). So whoever wakes up looks.
        """
        if self._watch and (place := place_of(self.directory)) != self._seen:
            self._seen, self.again = place, now
        return self.again is not None and self.again <= now

    def mend(self, now: float) -> bool:
        """Makes anew what is not there any more. Returns whether anything was."""
        self.again = None
        path = f"{self.directory}/supervisor.sock"
        try:
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            self._look()
            self._guard(0.0)
            there = {
                "lock": place_of(self._lock),
                "journal": place_of(self._journal.fd),
                "supervisor.sock": self._socket,
            }
            gone = [name for name, place in there.items() if not place or place_of(f"{self.directory}/{name}") != place]
            if not os.path.exists(f"{self.directory}/{KEEPER}"):
                gone.append(KEEPER)
            if "lock" in gone:
                self._lock = _lock(f"{self.directory}/lock")
            if "journal" in gone:
                self._journal.anew()
            if "supervisor.sock" in gone:
                self._server.listen(path, self._mode)
                self._socket = place_of(path)
        except (OSError, InUseError, TakenError) as error:
            self.again = now + AGAIN
            self._log("error", f"cannot make {self.directory} anew, which somebody has removed: {in_words(error)}")
            return False
        if self._upgrade.copy_is_gone:
            gone += self._copy()
        if gone:
            self._log("warning", f"somebody has removed {', '.join(gone)} in {self.directory}: made anew")
        return bool(gone)

    def _copy(self) -> list[str]:
        """Nothing else has to wait for it: an upgrade tries it once more."""
        try:
            self._upgrade.copy_anew()
        except OSError as error:
            self._log("warning", f"no copy of this program for the case of an upgrade: {error}")
            return []
        return [PROGRAM]

    def _touched(self, _: int) -> list[Occurrence]:
        if self._watch and self._watch.concerned():
            self.again = 0.0
        return []

    def _look(self) -> None:
        if self._watch:
            self._watch.set(tuple((self.directory, name) for name in FILES))

    def _guard(self, patience: float) -> None:
        """Holds the names of the directory, where it is now, and no others.

        Raises:
            TakenError: somebody with a right to it holds one.
        """
        names = _names(self.directory)
        for name in names:
            if name not in self._guards:
                self._guards[name] = _guard(name, self.directory, self._log, patience)
        self._names = names
        for name in self._guards.keys() - set(names):
            if guard := self._guards.pop(name):
                guard.close()


def _lock(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TakenError(f"cannot open {path}: {error.strerror}") from None
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(fd, 20).decode().strip()
        os.close(fd)
        raise TakenError(_taken(holder, os.path.dirname(path))) from None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


def _names(directory: str) -> tuple[bytes, bytes]:
    """The names that no `rm` and no `umount` can remove: by the device, and by the mount namespace and its root."""
    path, root = os.path.realpath(directory), os.stat("/")
    namespace = os.stat("/proc/self/ns/mnt").st_ino
    places = f"{os.stat(directory).st_dev:x}", f"{namespace:x}.{root.st_dev:x}.{root.st_ino:x}"
    whole = crc32(path.encode(errors="surrogateescape"))
    device, here = (f"\0supctl:{place}:{whole:08x}:{path[-60:]}".encode(errors="surrogateescape") for place in places)
    return device[:107], here[:107]


def _guard(address: bytes, directory: str, log: Log, patience: float) -> socket.socket | None:
    """One of these names, taken. None when somebody without any right to it holds it.

    Also when this very process does: by a descriptor of an earlier program of it, which a program between the two has
    passed on without knowing it (`supctl upgrade`).
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
        log("warning", f"{who} holds a name that guards {directory}; only its lock and the other name do now")
        return None
    guard.listen(128)  # nobody is accepted; each of those that are refused takes one place
    return guard


def _bound(guard: socket.socket, address: bytes) -> bool:
    try:
        guard.bind(address)
    except OSError:
        return False
    return True


def _holder(address: bytes) -> Peer | None:
    """Who began to listen at a name; None: nobody does, or not yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(address)
            return peer_of(probe)
        except ConnectionRefusedError:
            return None
        except OSError:  # so many were refused that no more are: to be careful, one of ours
            return Peer(0, os.geteuid(), os.getegid(), ())


def _taken(holder: str, directory: str, *, lives: bool = True) -> str:
    if holder and not lives:
        return f"a child of a supervisor that has died (pid {holder}) still holds {directory}"
    return f"another supervisor (pid {holder or 'unknown'}) runs with {directory}"
