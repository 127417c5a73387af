"""Receive what tasks send by sd_notify(3): one datagram socket for each run that has something to say.

**One socket for each run.** The address itself tells the run. The path has the number of the run, so a late message of
an old run cannot count for the new one. The next supervisor gets the same socket with the messages that wait in it (see
`notify_holder`), or binds the path again.

**Access.** Only the task's user and root can write to the socket of a run (its mode is 0600). So no stranger fills it.
The kernel tells the sender (SCM_CREDENTIALS). Two kinds of senders are accepted (see `notify_sender`):

- a process of the run that has the user of the task or root;
- the main process of the run, also if it has ended already.

Every other sender is refused, and that is logged. A sender is also refused if it ends before its run can be found, as
by systemd.

**A flood costs its own task.** A limited number of datagrams is read per turn. Then the socket rests for a moment, and
the kernel lets the sender wait.

**Descriptors** that come along (BARRIER=1, FDSTORE=1) are closed at once. For a barrier that is the answer. The kernel
closes them, as we leave no room for them. If we closed them, that could hang: a FUSE server may not answer. The sender
of a barrier may have ended by then. It need not be known, since a barrier says nothing else.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.events import Emptied, Exited, MainPid, Notified, NotStarted, Started
from supervisor.core.immutable import immutable
from supervisor.core.instance import Run
from supervisor.core.words import in_words
from supervisor.host import cgroup, clock
from supervisor.host.deadlines import first
from supervisor.host.interface import Happened, Occurrence
from supervisor.host.loop import Loop
from supervisor.runs import notify_message
from supervisor.runs.members import InCgroup
from supervisor.runs.notify_sender import AllowedSenders, is_gone, is_of_run, may_be, may_lead
from supervisor.runs.process import Process, Processes
from supervisor.spawn.held import Held
from supervisor.spawn.notify_holder import Inherited
from supervisor.store import layout

BURST = 16
"""Datagrams of one run that are read in one turn."""

REST = 0.05
"""Seconds that a socket rests after a burst. So one run has at most 320 datagrams a second."""

_ENDS = (Exited, Emptied, NotStarted)

_CREDENTIALS = struct.Struct("iII")
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size)
"""Room for the credentials of the sender, which come first, and for no descriptor."""


class NotifySocket:
    """The socket of one run."""

    def __init__(self, key: str, run: Run, output: str, path: str, bound: socket.socket) -> None:
        self.key = key
        self.run = run.number
        self.process: Process | None = None  # the process of the run, also when it is over
        self.leaders = {run.pid: run.birth}  # every main process that it had, the newest last
        self.cgroup = ""  # that of the run, as the hierarchy names it, once a message has come
        self.output = output
        self.path = path
        self.socket = bound
        self.rests_until: float | None = None
        self.complaints: set[str] = set()  # the reasons of refusals that were logged: each once
        self.unsure: Message | None = None  # a message that was read, but whose sender could not be checked yet


@immutable
class Message:
    """One datagram and its sender."""

    content: notify_message.Content
    pid: int
    uid: int


class NotifySockets:
    """Every socket to which a task may send."""

    def __init__(self, loop: Loop, processes: Processes, held: Held, log: Callable[[str, str], None]) -> None:
        """`processes` know the run of a pid. `held` outlives us. `log(level, text)`."""
        self.inherited = Inherited()
        self._loop = loop
        self._held = held
        self._processes = processes
        self._log = log
        self._sockets: dict[str, NotifySocket] = {}

    def open(self, runtime_dir: str, key: str, run: Run) -> None:
        """Make the socket of a run. A path that exists already is that of an earlier supervisor.

        Raises:
            OSError: it cannot be made.
        """
        self.close(key)
        self._listen(runtime_dir, key, run, _bound(layout.notify_socket(runtime_dir, key, run.number)))

    def _listen(self, runtime_dir: str, key: str, run: Run, made: socket.socket) -> None:
        notify = NotifySocket(
            key, run, layout.output(runtime_dir, run.id), layout.notify_socket(runtime_dir, key, run.number), made
        )
        notify.process = self._processes.by_key.get(key)
        try:
            self._loop.watch(made.fileno(), lambda _: self._readable(notify))
        except OSError:
            made.close()
            raise
        self._sockets[key] = notify
        self._held.hold(notify.path, made.fileno())

    def bind_process(self, key: str) -> None:
        """Note that the run has been forked. From now on its senders are known."""
        if key in self._sockets:
            self._sockets[key].process = self._processes.by_key.get(key)

    def reopen(self, runtime_dir: str, key: str, run: Run, *, lives: bool) -> None:
        """Reopen the socket of a run of an earlier supervisor, if it had one. Remove that of a run that has ended."""
        path = layout.notify_socket(runtime_dir, key, run.number)
        try:
            if not lives:
                self.inherited.close(path)
                os.unlink(path)
            elif kept := self.inherited.take(path):
                self._listen(runtime_dir, key, run, kept)
            elif os.path.exists(path):
                self.open(runtime_dir, key, run)
            self._give_to_user(self._sockets.get(key))
        except FileNotFoundError:
            return
        except OSError as error:
            self._log("error", f"{key} has no notify socket any more: {in_words(error)}")

    def is_there(self) -> bool:
        """See `Kept`."""
        return all(os.path.exists(notify.path) for notify in self._sockets.values())

    def renew(self) -> None:
        """See `Kept`. Bind the sockets again, as a living run uses the same path."""
        for notify in self._sockets.values():
            if not os.path.exists(notify.path):
                made = _bound(notify.path)
                self._loop.watch(made.fileno(), lambda _, notify=notify: self._readable(notify))  # type: ignore[misc]
                self._loop.unwatch(notify.socket.fileno())
                self._held.drop(notify.path)
                notify.socket.close()
                notify.socket, notify.rests_until = made, None
                self._give_to_user(notify)
                self._held.hold(notify.path, made.fileno())

    def _give_to_user(self, notify: NotifySocket | None) -> None:
        """Give the socket of a living run to its user. The child gives that of a new run."""
        if notify and notify.process and notify.process.users:
            with suppress(OSError):  # its name is gone; `renew` binds it again
                if not os.geteuid():
                    os.chown(notify.path, max(notify.process.users), -1, follow_symlinks=False)
                os.chmod(notify.path, 0o600)

    def close(self, key: str) -> None:
        """Close the socket of a run that is over."""
        notify = self._sockets.pop(key, None)
        if notify:
            self._loop.unwatch(notify.socket.fileno())
            self._held.drop(notify.path)
            notify.socket.close()
            with suppress(FileNotFoundError):
                os.unlink(notify.path)

    def in_order(self, occurred: list[Occurrence]) -> list[Occurrence]:
        """Put the messages of a run before its end, whatever their order was. Then close its socket."""
        ends = [one for one in occurred if isinstance(one, Happened) and isinstance(one.event, _ENDS)]
        if not ends or not self._sockets:
            return occurred
        words: list[Occurrence] = []
        for end in ends:
            notify = self._sockets.get(end.key)
            if notify:
                words += self._read(notify)[0]
                if not isinstance(end.event, Exited) or end.event.empty:
                    self.close(end.key)
        return sorted([*occurred, *words], key=_place)

    def next_deadline(self) -> float | None:
        """Return when the first resting socket is read again."""
        return first(notify.rests_until for notify in self._sockets.values())

    def due(self, now: float) -> list[Occurrence]:
        """Watch the sockets again that have rested."""
        for notify in self._sockets.values():
            if notify.rests_until is not None and notify.rests_until <= now:
                notify.rests_until = None
                self._loop.watch(notify.socket.fileno(), lambda _, notify=notify: self._readable(notify))  # type: ignore[misc]
        return []

    def _readable(self, notify: NotifySocket) -> list[Occurrence]:
        occurred, whole = self._read(notify)
        if whole:
            notify.rests_until = clock.now() + REST
            self._loop.unwatch(notify.socket.fileno())
        return occurred

    def _read(self, notify: NotifySocket) -> tuple[list[Occurrence], bool]:
        """Return the messages as one event, and whether there may be more than one turn reads."""
        event: Notified | None = None
        main: list[Happened] = []
        whole = True
        begun = self._processes.reported(notify.key)  # the child also tells its user
        for _ in range(BURST):
            message, notify.unsure = notify.unsure or _receive(notify), None
            if message is None:
                whole = False
                break
            try:
                believed = not message.content.says_nothing and self._believed(notify, message)
            except OSError as error:  # the sender is checked again after the rest that follows a whole burst
                notify.unsure = message
                self._complain(notify, f"the sender of a notify message cannot be checked now: {in_words(error)}")
                break
            if not believed:
                continue
            event = notify_message.together(event, message.content.event) if event else message.content.event
            main += self._main_pid(notify, message.content.main_pid) if message.content.main_pid else []
        if event is None:
            return [*begun], whole
        return [*begun, *main, Happened(notify.key, event)], whole

    def _main_pid(self, notify: NotifySocket, pid: int) -> list[Happened]:
        """Handle MAINPID=: accept only a living process of the run. The pidfd holds the process that was checked."""
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, OverflowError):
            pidfd = -1
        if pidfd < 0 or not may_lead(self._allowed_senders(notify), pid) or _has_ended(pidfd):
            self._log("warning", f"{notify.key}: MAINPID={pid} is ignored: it is not a process of the run")
            if pidfd >= 0:
                os.close(pidfd)
            return []
        return self._processes.promote(notify.key, pid, pidfd)

    def _allowed_senders(self, notify: NotifySocket) -> AllowedSenders:
        """Return the properties of the processes that may send for a run."""
        process = notify.process
        if process and process.pid not in notify.leaders:
            notify.leaders[process.pid] = process.birth
        if not notify.cgroup and process and isinstance(process.members, InCgroup):
            notify.cgroup = cgroup.in_hierarchy(process.members.cgroup.path)
        return AllowedSenders(
            process.users if process else frozenset(),
            notify.leaders,
            notify.cgroup,
            notify.output,
            _Others(self._processes),
        )

    def _believed(self, notify: NotifySocket, message: Message) -> bool:
        allowed = self._allowed_senders(notify)
        if not may_be(allowed, message.uid) or not is_of_run(allowed, message.pid):
            self._refuse(notify, message, known=may_be(allowed, message.uid))
            return False
        if message.content.stores:
            self._log("debug", f"{notify.key}: FDSTORE=1 is ignored: there is no descriptor store for tasks")
        return True

    def _refuse(self, notify: NotifySocket, message: Message, *, known: bool) -> None:
        """Log the reason of a refusal, once for each run. `known`: by its user the sender may be of the run."""
        why = "is not a process of the run"
        if not known:
            why = "is neither the user of the task nor root"
        elif message.pid > 0 and is_gone(message.pid):
            why = "ended before its message was read, so it is unknown (BARRIER=1 lets a sender wait)"
        if why not in notify.complaints:
            notify.complaints.add(why)
            self._log("warning", f"{notify.key}: pid {message.pid} (uid {message.uid}) {why}: its message is ignored")

    def _complain(self, notify: NotifySocket, why: str) -> None:
        if why not in notify.complaints:
            notify.complaints.add(why)
            self._log("warning", f"{notify.key}: {why}")


class _Others:
    """Our children that are no orphans of a task."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def __contains__(self, pid: object) -> bool:
        return pid in self._processes.by_pid or pid in self._processes.others


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _bound(path: str) -> socket.socket:
    """Bind a socket to a path, in place of what may be there.

    Raises:
        OSError: it cannot be made.
    """
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        os.fchmod(made.fileno(), 0o600)  # the name gets the mode of the socket, so no stranger comes in before chmod
        made.bind(path)
        os.chmod(path, 0o600)  # whatever the umask is
    except OSError:
        made.close()
        raise
    return made


def _place(one: Occurrence) -> int:
    """Order events: the start of a program, then its messages, then all else."""
    if isinstance(one, Happened) and isinstance(one.event, Started | Notified | MainPid):
        return 0 if isinstance(one.event, Started) else 1
    return 2


def _receive(notify: NotifySocket) -> Message | None:
    """Return the next datagram; None if there is none. The kernel closes every descriptor that comes along."""
    try:
        data, ancillary, _, _ = notify.socket.recvmsg(notify_message.LONGEST, _ROOM, socket.MSG_CMSG_CLOEXEC)
    except OSError:  # no datagram, or the kernel has no memory for it just now
        return None
    pid = uid = -1
    for level, kind, content in ancillary:
        is_credentials = (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
        if is_credentials and len(content) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(content)
    return Message(notify_message.parse(data, notify.run), pid, uid)
