"""What tasks say by sd_notify(3): one datagram socket for each run that has something to say.

**One socket for a run**, not one for all: the address itself says who is meant. The path has the number of the run, so
what is late from an old run cannot speak for the new one. The next supervisor goes on with the same socket and what was
said meanwhile (see `unheard`), or binds the path again.

**Who may speak.** Only its user can write to the socket of a run that cannot become anybody else (`child`), so that no
stranger fills it. To the others everybody can (a task may change its user). The kernel tells who did
(SCM_CREDENTIALS): a process of the run, or its main process, also one that has ended already. Anybody else is refused,
and so is who has ended before it can be told whose it was, as by systemd (see `sender`); that is logged.

**A flood** costs its own task: so many datagrams are read per turn, then the socket rests for a moment, and the kernel
lets the sender wait. Descriptors that come along (BARRIER=1, FDSTORE=1) are closed at once: for a barrier that is the
answer. Whoever sent it may have ended by then, and need not be known: it says nothing else.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.events import Emptied, Exited, MainPid, Notified, NotStarted, Started
from supervisor.core.immutable import immutable
from supervisor.core.instance import Run
from supervisor.core.words import in_words
from supervisor.host import datagram, mark
from supervisor.host.interface import Happened, Occurrence
from supervisor.host.launch import notify_path
from supervisor.host.loop import Loop
from supervisor.host.process import Processes
from supervisor.host.sender import is_gone, is_of_run, lives_in_run
from supervisor.host.spawner import Spawner
from supervisor.host.unheard import Unheard

BURST = 16
"""Datagrams of one run that are read in one turn."""

REST = 0.05
"""Seconds that a socket rests after a burst: at most 320 datagrams a second of one run."""

_ENDS = (Exited, Emptied, NotStarted)

_CREDENTIALS = struct.Struct("iII")
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(64 * 4)


class Ear:
    """The socket of one run."""

    def __init__(self, key: str, run: Run, number: int, path: str, bound: socket.socket) -> None:
        self.key = key
        self.run = run.number
        self.mark = number
        self.leaders = {run.pid: run.birth}  # every main process that it had; the newest is the last
        self.path = path
        self.socket = bound
        self.rests_until: float | None = None
        self.complaints: set[str] = set()  # why somebody was refused: once is enough


@immutable
class Heard:
    """One datagram, and who sent it."""

    said: datagram.Said
    pid: int
    uid: int


class Ears:
    """Every socket on which a task may speak."""

    def __init__(self, loop: Loop, processes: Processes, spawner: Spawner, log: Callable[[str, str], None]) -> None:
        """`processes` know whose pid it is; `spawner` holds the sockets as well; `log(level, text)`."""
        self.unheard = Unheard()
        self._loop = loop
        self._spawner = spawner
        self._processes = processes
        self._log = log
        self._ears: dict[str, Ear] = {}

    def open(self, runtime_dir: str, key: str, run: Run) -> None:
        """Makes the socket of a run; a path that is there already is that of an earlier supervisor.

        Raises:
            OSError: it cannot be made.
        """
        self.close(key)
        self._listen(runtime_dir, key, run, _bound(notify_path(runtime_dir, key, run.number)))

    def _listen(self, runtime_dir: str, key: str, run: Run, made: socket.socket) -> None:
        ear = Ear(key, run, mark.number(run.id, runtime_dir), notify_path(runtime_dir, key, run.number), made)
        try:
            self._loop.watch(made.fileno(), lambda _: self._readable(ear))
        except OSError:
            made.close()
            raise
        self._ears[key] = ear
        self._spawner.hold(ear.path, made.fileno())

    def reopen(self, runtime_dir: str, key: str, run: Run, *, lives: bool) -> None:
        """For a run of an earlier supervisor, if it had a socket; what is left of one that has ended goes."""
        path = notify_path(runtime_dir, key, run.number)
        try:
            if not lives:
                self.unheard.close(path)
                os.unlink(path)
            elif kept := self.unheard.take(path):
                self._listen(runtime_dir, key, run, kept)
            elif os.path.exists(path):
                self.open(runtime_dir, key, run)
        except FileNotFoundError:
            return
        except OSError as error:
            self._log("error", f"{key} cannot be heard any more: {in_words(error)}")

    def renew(self) -> None:
        """Somebody may have removed the runtime directory: a run that goes on speaks to the same path as before."""
        for ear in self._ears.values():
            if not os.path.exists(ear.path):
                try:
                    made = _bound(ear.path)
                    self._loop.watch(made.fileno(), lambda _, ear=ear: self._readable(ear))  # type: ignore[misc]
                except OSError as error:
                    self._log("error", f"{ear.key} cannot be heard any more: {in_words(error)}")
                    continue
                self._loop.unwatch(ear.socket.fileno())
                self._spawner.drop(ear.path)
                ear.socket.close()
                ear.socket, ear.rests_until = made, None
                self._spawner.hold(ear.path, made.fileno())

    def close(self, key: str) -> None:
        """The run is over."""
        ear = self._ears.pop(key, None)
        if ear:
            self._loop.unwatch(ear.socket.fileno())
            self._spawner.drop(ear.path)
            ear.socket.close()
            with suppress(FileNotFoundError):
                os.unlink(ear.path)

    def in_order(self, occurred: list[Occurrence]) -> list[Occurrence]:
        """What a run said comes before its end, in whatever order the kernel told of both; then its socket goes."""
        ends = [one for one in occurred if isinstance(one, Happened) and isinstance(one.event, _ENDS)]
        if not ends or not self._ears:
            return occurred
        words: list[Occurrence] = []
        for end in ends:
            ear = self._ears.get(end.key)
            if ear:
                words += self._read(ear)[0]
                if not isinstance(end.event, Exited) or end.event.empty:
                    self.close(end.key)
        return sorted([*occurred, *words], key=_place)

    def next_deadline(self) -> float | None:
        """When the first of those that rest is listened to again."""
        return min((ear.rests_until for ear in self._ears.values() if ear.rests_until is not None), default=None)

    def wake(self, now: float) -> None:
        """Listens again to those that have rested."""
        for ear in self._ears.values():
            if ear.rests_until is not None and ear.rests_until <= now:
                ear.rests_until = None
                self._loop.watch(ear.socket.fileno(), lambda _, ear=ear: self._readable(ear))  # type: ignore[misc]

    def rest(self, now: float) -> None:
        """Gives those a rest that have had a whole burst in this turn."""
        for ear in self._ears.values():
            if ear.rests_until == 0.0:
                ear.rests_until = now + REST

    def _readable(self, ear: Ear) -> list[Occurrence]:
        occurred, whole = self._read(ear)
        if whole:
            ear.rests_until = 0.0
            self._loop.unwatch(ear.socket.fileno())
        return occurred

    def _read(self, ear: Ear) -> tuple[list[Occurrence], bool]:
        """What was said, as one event; and whether there may be more than may be read in one turn."""
        event: Notified | None = None
        main: list[Happened] = []
        whole = True
        for _ in range(BURST):
            heard = _receive(ear)
            if heard is None:
                whole = False
                break
            if heard.said.says_nothing or not self._believed(ear, heard):
                continue
            event = datagram.together(event, heard.said.event) if event else heard.said.event
            main += self._main_pid(ear, heard.said.main_pid) if heard.said.main_pid else []
        if event is None:
            return [], whole
        return [*self._processes.reported(ear.key), *main, Happened(ear.key, event)], whole

    def _main_pid(self, ear: Ear, pid: int) -> list[Happened]:
        """MAINPID=: only a living process of the run itself."""
        if not lives_in_run(next(reversed(ear.leaders)), ear.mark, pid):
            self._log("warning", f"{ear.key}: MAINPID={pid} is not of its run: not believed")
            return []
        return self._processes.promote(ear.key, pid)

    def _believed(self, ear: Ear, heard: Heard) -> bool:
        process = self._processes.by_key.get(ear.key)
        if process and process.pid not in ear.leaders:
            ear.leaders[process.pid] = process.birth
        if not is_of_run(ear.leaders, ear.mark, heard.pid):
            self._refuse(ear, heard)
            return False
        if heard.said.stores:
            self._log("debug", f"{ear.key}: FDSTORE=1 is not kept: there is no descriptor store for tasks")
        return True

    def _refuse(self, ear: Ear, heard: Heard) -> None:
        """Says why, once for each run."""
        why = "is not of its run"
        if heard.pid > 0 and is_gone(heard.pid):
            why = "had ended before it was read, and may be anybody's (BARRIER=1 lets a sender wait)"
        if why not in ear.complaints:
            ear.complaints.add(why)
            self._log("warning", f"{ear.key}: pid {heard.pid} (uid {heard.uid}) {why}: not listened to")


def _bound(path: str) -> socket.socket:
    """A socket at a path, in place of what may be there.

    Raises:
        OSError: it cannot be made.
    """
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        made.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - who may speak is told by the kernel, see above
    except OSError:
        made.close()
        raise
    return made


def _place(one: Occurrence) -> int:
    """The beginning of a program, then what it says, then all else."""
    if isinstance(one, Happened) and isinstance(one.event, Started | Notified | MainPid):
        return 0 if isinstance(one.event, Started) else 1
    return 2


def _receive(ear: Ear) -> Heard | None:
    """The next datagram; None when there is none. Every descriptor that comes along is closed."""
    try:
        data, ancillary, _, _ = ear.socket.recvmsg(datagram.LONGEST, _ROOM, socket.MSG_CMSG_CLOEXEC)
    except OSError:  # nothing there; or the kernel has no memory for it just now
        return None
    pid = uid = -1
    for level, kind, content in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            _close_all(content)
        elif kind == socket.SCM_CREDENTIALS and len(content) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(content)
    return Heard(datagram.parse(data, ear.run), pid, uid)


def _close_all(content: bytes) -> None:
    for (number,) in struct.iter_unpack("i", content[: len(content) // 4 * 4]):
        os.close(number)
