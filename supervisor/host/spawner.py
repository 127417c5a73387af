"""@spawner: a small process from which every child is forked, so that a fork is cheap however much the parent holds.

It is forked at the very start of the program, before anything else is imported, and does nothing but receive a
launch and fork. The children are the parent's own (clone(2), CLONE_PARENT): the parent sees their ends, and they
are orphaned by its death, not by the spawner's. What is gained, on the machine where this was measured: the parent
spends 0.4 ms on a start in place of 1.0, as it has no pages to copy; a child is at its exec after 1.1 ms in place
of 2.4; and no child ever holds a copy of the parent's memory, its lock or its sockets, not even before its exec.

Where the supervisor has cgroups (`cgroup`), each child is made in a fresh one, ahead, too: which run a cgroup is for is
not known before its launch. The spawner also removes the cgroups of runs that are over.

A spawner that dies or does not answer is replaced by a new one, forked from the parent as it is then: a bit larger. The
parent waits for an answer only when a start cannot go on without, and looks then what the spawner is doing: for one
that somebody has stopped (SIGSTOP, a debugger) it waits no longer than a few milliseconds, for one that waits for a
disk itself, a tenth of a second.

When the parent dies, the spawner stays for as long as it must hold what tasks have written (`keeper`) or what they have
said by sd_notify (`unheard`).

Here is the parent's end; the spawner's own is `spawning`, and how a child is made is in `clone`.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress

from supervisor.host import cgroup, child, keeper, procfs, unheard
from supervisor.host.spawning import DROP, EXECUTE, HOLD, MAKE, REMOVE, serve

PR_SET_CHILD_SUBREAPER = 36

PATIENCE = 1.0
"""Seconds after which a spawner that does not answer is replaced. It does nothing that could take long."""

GLANCE = 0.005
"""Seconds between two looks at whether it has been stopped. An answer takes less than one of them."""

UNINTERRUPTIBLE = 0.1
"""Seconds that it may be in state D all the while: to make a cgroup and a process in it takes a tenth of that."""

LONGEST = 120 * 1024
"""Bytes of a launch: what a socket takes at once, with room for the go byte."""

_libc = ctypes.CDLL(None, use_errno=True)


class NoChildError(OSError):
    """The kernel has refused another process. The spawner has said so, and is well."""


class Spare:
    """A child that exists already and waits for its launch."""

    __slots__ = ("birth", "cgroup", "channel", "folder", "pid", "pidfd")

    def __init__(self, pid: int, channel: int, cgroup: str, folder: str) -> None:
        """Takes over the channel.

        Raises:
            OSError: it cannot be held on to, as no descriptor is left; the child ends then.
        """
        self.pid = pid
        self.channel = channel  # our end
        self.cgroup = cgroup  # the directory of the cgroup that it is in, or ""
        self.folder = folder  # that in which this was to be made
        try:
            self.pidfd = os.pidfd_open(pid)
        except OSError:
            os.close(channel)
            raise
        try:
            self.birth = procfs.birth(pid)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Lets it go: it sees that its launch will never come, and ends."""
        os.close(self.channel)
        os.close(self.pidfd)


class Spawner:
    """The parent's end. One child is always made ahead, so that a restart does not wait for a fork."""

    def __init__(self) -> None:
        """Forks the spawner, and becomes a subreaper (prctl(2)): orphans of the tasks come to us.

        Raises:
            OSError: no descriptor is left.
        """
        if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self.open_files = resource.getrlimit(resource.RLIMIT_NOFILE)  # the tasks'; the parent raises its own
        self.keeper = keeper.Keeper()
        self._ordered: list[tuple[int, str]] = []  # of the children that are being made, in order: our end, the cgroup
        self._places: dict[str, str] = {}  # the directories of the groups with limits
        self._spares: list[Spare] = []  # those that are made
        self._held: dict[str, int] = {}  # notify sockets, by their path
        self._place = ""  # the folder in which they can be asked for after our death
        self._over: list[str] = []  # cgroups of runs that are over
        self._late: list[str] = []  # paths of which the spawner has still to be told
        try:
            self.tree = cgroup.plant(os.getpid(), procfs.birth(os.getpid()))
            self.cgroups = f"each run has a cgroup of its own, in {self.tree}"
        except cgroup.NoCgroupError as why:
            self.tree = ""
            self.cgroups = f"no cgroups, what belongs to a run is known by its mark: {why}"
        self._socket: socket.socket | None = None
        self._pidfd = -1
        with suppress(OSError):  # no process is to be had just now: the first who needs it makes it
            self._begin()

    def prepare(self, count: int) -> None:
        """So many are needed soon: they are made while the parent does something else."""
        with suppress(OSError):  # no descriptor is left, or it has just died: the next start will tell
            while len(self._ordered) + len(self._spares) < count:
                self._order(self.tree)

    def place_of(self, group: str) -> str:
        """The cgroup that the runs of a group are in, if there is one; also that of an earlier supervisor."""
        place = self._places.get(group) or f"{self.tree}/@{group}"
        return place if self.tree and os.path.isdir(place) else ""

    def adopt(self, run: str) -> None:
        """A run of an earlier supervisor lives in this cgroup; later ones of its group go where it is: one limit."""
        place = os.path.dirname(run)
        if os.path.basename(place).startswith("@"):
            self._places[os.path.basename(place)[1:]] = place

    def old_trees(self, last: str, runs: set[str]) -> set[str]:
        """Those of earlier supervisors: of the `last` one (`keeper.last_in_charge`), and in which these runs live."""
        pid, _, birth = last.partition(" ")
        known = {cgroup.tree_of(run) for run in runs}
        if self.tree and pid.isdigit() and birth.isdigit() and keeper.identity(int(pid)) != last:
            known.add(cgroup.tree_in(os.path.dirname(self.tree), int(pid), int(birth)))
        return known - {self.tree}

    def rest(self) -> None:
        """Nothing else is to be done now: takes what is made already, and sees to it that there is one."""
        if self._socket is not None and _await(self._pidfd, 0.0):  # it also holds what the tasks say (`keeper`)
            self.close()
        with suppress(OSError, EOFError):  # it has just died: its pidfd tells, a moment later
            while self._ordered and self._made(wait=False):
                pass
        if self._late:
            self._tell_late()
        self.prepare(1)
        self._remove_over()

    def spawn(self, spec: child.Spec, group: str = "") -> Spare:
        """A child that has its launch and waits for the go byte. `group`: it has a share in the limits of that.

        Raises:
            OSError: no child could be made.
        """
        data = _packed(spec)
        for _ in range(3):
            spare = self._take(self._folder(group))
            if spec["confine"]:
                spec["confine"]["cgroup"] = spare.cgroup
                data = _packed(spec)
            try:
                os.write(spare.channel, data)
            except (BrokenPipeError, ConnectionResetError):  # somebody has killed it
                spare.close()
                self.remove(spare.cgroup)
                continue
            return spare
        raise OSError(errno.EAGAIN, "each child was killed as soon as it was made")

    def remove(self, path: str) -> None:
        """Has the cgroup of a run that is over removed, in a calm moment: not while the next run is on its way.

        "": there is none. What the spawner cannot remove, `close` or the next supervisor does.
        """
        if path:
            self._over.append(path)

    def _remove_over(self) -> None:
        with suppress(OSError):  # a spawner that is not there, or busy: in the next calm moment
            while self._over and self._socket is not None:
                self._socket.send(REMOVE + self._over[-1].encode())
                self._over.pop()

    def hold(self, path: str, fd: int) -> None:
        """Has a notify socket outlive us."""
        self._held[path], self._place = fd, unheard.folder(path)
        self._late.append(path)
        self._tell_late()

    def drop(self, path: str) -> None:
        """Its run is over."""
        if self._held.pop(path, None) is not None:
            self._late.append(path)
            self._tell_late()

    def _tell_late(self) -> None:
        """What a spawner that is busy does not take now is told in the next calm moment."""
        with suppress(OSError):
            spawner = self._socket or self._begin()
            while self._late:
                path = self._late[0]
                fds = [self._held[path]] if path in self._held else []
                socket.send_fds(spawner, [(HOLD if fds else DROP) + path.encode()], fds)
                del self._late[0]

    def leave(self) -> None:
        """As `close`, but what it holds is for the next program: it waits for that, and ends then.

        What it was told to make is taken first, as nobody would remove a cgroup that is made later.
        """
        with suppress(OSError, EOFError):
            while self._ordered:
                self._made(wait=True)
        with suppress(OSError):
            if self._socket and self._held:
                self._socket.send(EXECUTE)
        self.close(kill=not self._held)

    def close(self, *, kill: bool = True) -> None:
        """Ends it, and the children that are made ahead. A later `spawn` begins a new one."""
        if self._socket is not None:
            if kill:
                with suppress(ProcessLookupError):  # first of all: it shall not take our end for our death
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._socket.close()
            self._socket = None
            if kill:
                _comes(self._pidfd, self._pid)  # it might be about to make another one
                if self._place:
                    with suppress(FileNotFoundError):
                        os.unlink(f"{self._place}/{self._pid}")
            os.close(self._pidfd)
        for spare in self._spares:
            spare.close()
        for channel, _ in self._ordered:
            os.close(channel)
        for path in [spare.cgroup for spare in self._spares] + [path for _, path in self._ordered]:
            _discard(path)
        self._spares, self._ordered = [], []
        if self.tree:
            cgroup.remove(self.tree)  # as far as nothing lives in it

    def _begin(self) -> socket.socket:
        self._socket, self._pid, self._pidfd = _start(self.open_files, self.tree, self.keeper.theirs)
        self._late = list(self._held)
        if self._held:
            self._tell_late()
        return self._socket

    def _folder(self, group: str) -> str:
        """Where a run is made that is in this group."""
        if not group or not self.tree:
            return self.tree
        self._places[group] = self.place_of(group) or f"{self.tree}/@{group}"
        return self._places[group]

    def _take(self, folder: str) -> Spare:
        """One that was made ahead, or is made now: one in the cgroup of a group always is.

        The next one is ordered in a calm moment (`rest`): a child on its way to its exec shall not share a processor
        with it.
        """
        for _ in range(2):
            try:
                while (found := next((one for one in self._spares if one.folder == folder), None)) is None:
                    if not any(os.path.dirname(path) == folder for _, path in self._ordered):
                        self._order(folder)
                    self._made(wait=True)
                self._spares.remove(found)
                return found
            except (TimeoutError, BlockingIOError, BrokenPipeError, ConnectionResetError, EOFError):
                self.close()
        raise OSError(errno.EAGAIN, "the spawner does not answer")

    def _order(self, folder: str) -> None:
        spawner = self._socket or self._begin()
        path = f"{folder}/{time.monotonic_ns()}" if folder else ""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(spawner, [MAKE + path.encode()], [theirs.fileno()])
            ours.setblocking(False)
            self._ordered.append((ours.detach(), path))

    def _made(self, *, wait: bool) -> bool:
        """Takes the next one that was ordered. False when it is not made yet, and is not waited for.

        Raises:
            TimeoutError: the spawner does not answer.
            EOFError: it is gone.
            NoChildError: none can be had.
        """
        try:
            if wait and self._socket and not _comes(self._socket.fileno(), self._pid):
                raise TimeoutError
            answer = self._socket.recv(5) if self._socket else b""
        except BlockingIOError:
            return False
        if len(answer) < 5:
            raise EOFError
        channel, path = self._ordered.pop(0)
        pid = int.from_bytes(answer[:4], "little", signed=True)
        if pid < 0:
            os.close(channel)
            raise NoChildError(-pid, _refusal(-pid, os.path.basename(os.path.dirname(path))))
        try:
            self._spares.append(Spare(pid, channel, path if answer[4] else "", os.path.dirname(path)))
        except OSError as error:
            self.remove(path)
            if not isinstance(error, ProcessLookupError):  # somebody has killed it
                raise
        return True


def _start(open_files: tuple[int, int], tree: str, kept: socket.socket) -> tuple[socket.socket, int, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            serve(theirs, open_files, tree, kept)
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        ours.close()
        raise NoChildError(error.errno, error.strerror) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
        theirs.close()
    ours.setblocking(False)
    return ours, pid, pidfd


def _packed(spec: child.Spec) -> bytes:
    """A launch as the child reads it; the path of a cgroup may still come in."""
    data = marshal.dumps(dict(spec))
    if len(data) > LONGEST:
        raise OSError(errno.E2BIG, "the command and its environment are too long")
    return len(data).to_bytes(4, "little") + data


def _refusal(number: int, folder: str) -> str:
    """Why there is no child; `folder`: the name of that in which its cgroup was to be, "@GROUP" for one with limits."""
    limited = number == errno.EAGAIN and folder.startswith("@")
    return os.strerror(number) + (f" (limits.processes of group {folder[1:]}, or of the machine)" if limited else "")


def _await(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _comes(fd: int, pid: int) -> bool:
    """Waits for an answer of the spawner with this pid, or its end, as long as that may be on its way."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    now = time.monotonic()
    end = stuck = now + PATIENCE
    while not poll.poll(GLANCE * 1000):
        state, now = _state(pid), time.monotonic()
        stuck = min(stuck, now + UNINTERRUPTIBLE) if state == "D" else end
        if state in ("T", "t") or now > min(stuck, end):
            return False
    return True


def _state(pid: int) -> str:
    """See `procfs.Stat`; "" when no descriptor is left to look by."""
    try:
        return procfs.stat(pid).state
    except OSError:
        return ""


def _discard(path: str) -> None:
    """The cgroup of a child that nobody needs: whatever is in it ends at once."""
    if path:
        made = cgroup.Cgroup(path)
        made.kill()
        with suppress(OSError):  # it was never made
            poll = select.poll()
            poll.register(made.watch(), select.POLLPRI)
            while made.alive() and poll.poll(PATIENCE * 1000):
                pass
        made.close()
        cgroup.remove(path)
