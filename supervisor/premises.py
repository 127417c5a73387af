"""The runtime directory under a living supervisor: it is nobody else's, and what is removed from it is made anew.

Two supervisors over one directory would start every task twice. Two locks forbid it, and both die with their holder:

- A record lock on the file `lock` (fcntl(2)). No child inherits it.
- A socket with an abstract name, made of the directory's device and path (unix(7)). It is in no directory, so that it
  holds also when somebody removes or renames the runtime directory, and a second supervisor makes that anew. A child
  of a supervisor that was killed (an errand) has it from its fork to its first act, which is to close it: that is
  waited for.

A name without a file has no owner and no rights: any user could take it first. So it counts only if root or we
ourselves hold it.

inotify(7) tells when the socket, the journal, the lock or the directory itself is removed or renamed. They are made
anew at once, with everything that the journal has to say: a `rm -r` costs nothing but a moment.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from zlib import crc32

from supervisor.control.access import Peer, peer_of
from supervisor.control.server import Server
from supervisor.host import clock, procfs
from supervisor.host.inotify import IN_DELETE, Watch
from supervisor.host.interface import Occurrence
from supervisor.store.records import Journal

AGAIN = 1.0
"""Seconds until what could not be made anew is tried again."""

LET_GO = 5.0
"""Seconds that a child of a dead supervisor may need on a busy machine until it lets go of what it has inherited."""

_IN_MOVED_FROM = 0x00000040

Log = Callable[[str, str], None]


class TakenError(Exception):
    """Another supervisor is there, or nobody can be; the text says which."""


class Premises:
    """The runtime directory of one supervisor."""

    def __init__(self, directory: str, log: Log, *, lock: int = -1, guard: int = -1) -> None:
        """Takes it; `lock` and `guard` are what an earlier program of this process has held all the while.

        Raises:
            TakenError: it is somebody else's, or cannot be used.
        """
        self.directory = directory
        self.again: float | None = None  # when to try once more to make it anew
        self._log = log
        self._guard = socket.socket(fileno=guard) if guard >= 0 else _guard(directory, log)
        self._lock = lock if lock >= 0 else _lock(f"{directory}/lock")
        self._watch: Watch | None = None

    def keep(self, server: Server, mode: int, journal: Journal) -> Callable[[int], list[Occurrence]]:
        """From now on what is removed is made anew. Returns the reader of `fd`."""
        self._server, self._mode, self._journal = server, mode, journal
        self._watch = Watch(IN_DELETE | _IN_MOVED_FROM)
        self._look()
        return self._touched

    @property
    def held(self) -> tuple[int, int]:
        """The descriptors of the lock and of the guard; -1: there is none."""
        return self._lock, self._guard.fileno() if self._guard else -1

    @property
    def fd(self) -> int:
        """What the loop watches."""
        return self._watch.fd if self._watch else -1

    def mend(self, now: float) -> bool:
        """Makes anew what is not there any more. Returns whether anything was."""
        self.again = None
        try:
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            self._look()
            gone = [
                name for name, fd in (("lock", self._lock), ("journal", self._journal.fd)) if not self._is(name, fd)
            ]
            if "lock" in gone:
                self._lock = _lock(f"{self.directory}/lock")
            if "journal" in gone:
                self._journal.anew()
            if not os.path.exists(f"{self.directory}/supervisor.sock"):
                gone.append("supervisor.sock")
                self._server.listen(f"{self.directory}/supervisor.sock", self._mode)
        except (OSError, TakenError) as error:
            self.again = now + AGAIN
            self._log("error", f"cannot make {self.directory} anew, which somebody has removed: {error}")
            return False
        if gone:
            self._log("warning", f"somebody has removed {', '.join(gone)} in {self.directory}: made anew")
        return bool(gone)

    def _touched(self, _: int) -> list[Occurrence]:
        if self._watch and self._watch.concerned():
            self.again = 0.0
        return []

    def _look(self) -> None:
        if self._watch:
            self._watch.set(tuple((self.directory, name) for name in ("supervisor.sock", "journal", "lock")))

    def _is(self, name: str, fd: int) -> bool:
        """Whether the file of this name is the one that we hold open."""
        try:
            return os.path.samestat(os.stat(f"{self.directory}/{name}"), os.fstat(fd))
        except FileNotFoundError:
            return False


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


def _guard(directory: str, log: Log) -> socket.socket | None:
    """The name that no `rm` can remove. None when somebody without any right to it holds it."""
    path = os.path.realpath(directory)
    name = f"\0supctl:{os.stat(directory).st_dev:x}:{crc32(path.encode(errors='surrogateescape')):08x}:{path[-60:]}"
    guard = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    address = name.encode(errors="surrogateescape")[:107]
    holder, deadline = None, clock.now() + LET_GO
    while not _bound(guard, address):
        holder = holder or _holder(address)
        lives = holder is not None and procfs.stat(holder.pid).alive
        if not lives and clock.now() < deadline:
            clock.sleep(0.005)
            continue
        guard.close()
        if holder and holder.uid in (0, os.geteuid()):
            raise TakenError(_taken(str(holder.pid or ""), directory, lives=lives))
        who = f"uid {holder.uid} (pid {holder.pid})" if holder else "somebody"
        log("warning", f"{who} holds the name that guards {directory}; only its lock does now")
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
