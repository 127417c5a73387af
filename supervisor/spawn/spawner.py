"""Make children by a small process, so that a fork is cheap however much memory the parent has.

The parent forks that process at the very start of the program, before it imports anything else. The process only
receives launches and forks. The children are the parent's own (clone(2), CLONE_PARENT): the parent sees their ends. The
parent's death orphans them, the death of the process does not.

On the machine where this was measured, the gain is:

- The parent spends 0.4 ms on a start in place of 1.0, as it has no pages to copy.
- A child is at its exec after 1.1 ms in place of 2.4.
- No child ever holds a copy of the parent's memory, its lock or its sockets, not even before its exec. (After the death
  of that process: of the memory only, see below.)

Where the supervisor has cgroups (`cgroup_tree`), each child is made in a fresh cgroup. That happens before the launch,
so it is unknown to which run the cgroup will belong.

The parent replaces a process that dies or does not answer. It forks the new one from itself. So the new one is a bit
larger, and it has a copy of the parent's memory, with the config and the environments in it. Its children have that,
too, until their exec. Helpers and Python tasks do no exec and keep it. Only a restart of the supervisor ends that.

This module is the parent's end. The other end is `server.Maker`, and `clone` makes the children.
"""

from __future__ import annotations

import errno
import marshal
import os
import select
import socket
from contextlib import suppress

from supervisor.host import cgroup, procfs
from supervisor.spawn import orders
from supervisor.spawn.cgroup_tree import new_path
from supervisor.spawn.orders import MAKE
from supervisor.spawn.spawner_process import PATIENCE, NoChildError

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    from supervisor.host.step import Spec
    from supervisor.spawn.cgroup_tree import Cgroups
    from supervisor.spawn.spawner_process import SpawnerProcess

NOT_INTERNED = 2
"""A version of marshal. With a later one, the child would look up each key among all strings of Python. That costs it a
page for most of them."""

LONGEST = 120 * 1024
"""The maximum bytes of a launch: a socket takes them at once and has room for the go byte."""


class Spare:
    """A child that exists already and waits for its launch."""

    __slots__ = ("birth", "cgroup", "channel", "folder", "pid", "pidfd")

    def __init__(self, pid: int, channel: int, cgroup: str, folder: str) -> None:
        """Take over the channel.

        Raises:
            OSError: no descriptor is left to hold it by. The child ends then.
        """
        self.pid = pid
        self.channel = channel  # our end
        self.cgroup = cgroup  # the directory of the cgroup that it is in, or ""
        self.folder = folder  # the directory in which this cgroup was to be made
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
        """Close the channel. The child sees that its launch will never come, and ends."""
        os.close(self.channel)
        os.close(self.pidfd)


class Spawner:
    """Makes children by one process. Some are made ahead, so that a restart does not wait for a fork."""

    def __init__(self, process: SpawnerProcess, cgroups: Cgroups, *, ahead: int) -> None:
        """`ahead`: how many children wait for a launch in a calm moment."""
        self.umask = 0o022  # of a task whose definition names none
        self._process = process
        self._cgroups = cgroups
        self._ahead = ahead
        self._ordered: list[tuple[int, str]] = []  # of the children that are being made, in order: our end, the cgroup
        self._spares: list[Spare] = []  # those that are made

    def prepare(self, count: int) -> None:
        """Order `count` children that are needed soon. They are made while the parent does something else."""
        with suppress(OSError):  # no descriptor is left, or the process has just died: the next start reports it
            while (lacking := count - len(self._ordered) - len(self._spares)) > 0:
                self._order(self._cgroups.tree, min(lacking, orders.MOST))

    def do_deferred(self) -> None:
        """Take the children that are made, and order those that are to be ready."""
        if self._process.dead:
            self.close()
        with suppress(OSError, EOFError):  # it has just died: its pidfd reports that a moment later
            while self._ordered and self._made(wait=False):
                pass
        self.prepare(self._ahead)

    def spawn(self, spec: Spec, group: str = "") -> Spare:
        """Return a child that has its launch and waits for the go byte. It shares the limits of `group`.

        Raises:
            OSError: no child could be made.
        """
        if spec["umask"] is None and not spec["helper"]:
            spec["umask"] = self.umask
        data = b"" if spec["confine"] else _packed(spec)
        for _ in range(3):
            spare = self._take(self._cgroups.folder(group))
            if spec["confine"]:
                spec["confine"]["cgroup"] = spare.cgroup
                data = _packed(spec)
            try:
                os.write(spare.channel, data)
            except (BrokenPipeError, ConnectionResetError):  # it was killed
                spare.close()
                self._cgroups.remove(spare.cgroup)
                continue
            return spare
        raise OSError(errno.EAGAIN, "each child was killed as soon as it was made")

    def end_children(self) -> None:
        """Take the children that were ordered, and end them. Nobody would remove a cgroup that is made later."""
        with suppress(OSError, EOFError):
            while self._ordered:
                self._made(wait=True)
        self._end_spares()

    def close(self) -> None:
        """End the process and the children that are made ahead. A later `spawn` begins a new process."""
        self._process.close()
        self._end_spares()

    def _end_spares(self) -> None:
        for spare in self._spares:
            spare.close()
        for channel, _ in self._ordered:
            os.close(channel)
        for path in [spare.cgroup for spare in self._spares] + [path for _, path in self._ordered]:
            _discard(path)
        self._spares, self._ordered = [], []

    def _take(self, folder: str) -> Spare:
        """Return a child that was made ahead, or make one now. A child in the cgroup of a group is always made now.

        `rest` orders the next child in a calm moment. So a child on its way to its exec does not share a processor with
        that work.
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

    def _order(self, folder: str, count: int = 1) -> None:
        """Order children in new cgroups in this directory."""
        paths = [new_path(folder) for _ in range(count)]
        pairs: list[tuple[socket.socket, socket.socket]] = []
        try:
            pairs += (socket.socketpair() for _ in paths)
            self._process.order(MAKE, orders.joined(paths), *(theirs.fileno() for _, theirs in pairs))
            for ours, _ in pairs:
                ours.setblocking(False)
            self._ordered += zip([ours.detach() for ours, _ in pairs], paths, strict=True)
        finally:
            for ours, theirs in pairs:
                ours.close()
                theirs.close()

    def _made(self, *, wait: bool) -> bool:
        """Take the children of the next answer. Return False if there is none yet and `wait` is False.

        Raises:
            TimeoutError: the process does not answer.
            EOFError: it is gone.
            NoChildError: one of them cannot be made.
        """
        children = orders.children_of(self._process.answer(wait=wait))
        failures: list[OSError] = []
        for pid, inside in children:
            channel, path = self._ordered.pop(0)
            try:
                self._spares.append(_spare(pid, channel, path, inside=inside))
            except ProcessLookupError:  # it was killed
                self._cgroups.remove(path)
            except OSError as error:
                self._cgroups.remove("" if isinstance(error, NoChildError) else path)
                failures.append(error)
        if failures:
            raise failures[0]
        return bool(children)


def _spare(pid: int, channel: int, path: str, *, inside: bool) -> Spare:
    """Return a child of an answer.

    Raises:
        NoChildError: it could not be made.
        OSError: it is gone, or no descriptor is left for it.
    """
    if pid < 0:
        os.close(channel)
        raise NoChildError(-pid, _refusal(-pid, os.path.basename(os.path.dirname(path))))
    return Spare(pid, channel, path if inside else "", os.path.dirname(path))


def _packed(spec: Spec) -> bytes:
    """Return a launch as the child reads it. `spawn` may still add the path of a cgroup."""
    data = marshal.dumps(dict(spec), NOT_INTERNED)
    if len(data) > LONGEST:
        raise OSError(errno.E2BIG, "the command and its environment are too long")
    return len(data).to_bytes(4, "little") + data


def _refusal(number: int, folder: str) -> str:
    """Return why there is no child. `folder` names the parent of its cgroup: "@GROUP" for a group with limits."""
    limited = number == errno.EAGAIN and folder.startswith("@")
    return os.strerror(number) + (f" (limits.processes of group {folder[1:]}, or of the machine)" if limited else "")


def _discard(path: str) -> None:
    """Kill everything in the cgroup of a child that is not needed, and remove the cgroup."""
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
