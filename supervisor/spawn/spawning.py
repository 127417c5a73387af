"""Put together what makes children and what outlives the parent: @spawner, and the parent's ends of its parts.

@spawner is a spawner process with all parts. When the parent dies, it stays as long as it holds something. `fd_holder`
holds the output of tasks. `notify_holder` holds their notify messages, and the pidfds by which the kernel reports how
runs end.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress

from supervisor.spawn import fd_holder, notify_holder, orders, server
from supervisor.spawn.cgroup_tree import Cgroups, Remover
from supervisor.spawn.held import Held
from supervisor.spawn.orders import Part
from supervisor.spawn.spawner import Spawner
from supervisor.spawn.spawner_process import SpawnerProcess

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    import socket
    from typing import NoReturn

PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


class Spawning:
    """The parent's ends."""

    def __init__(self) -> None:
        """Fork @spawner, and become a subreaper (prctl(2)): orphans of the tasks become our children.

        Raises:
            OSError: no descriptor is left.
        """
        if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self.open_files = resource.getrlimit(resource.RLIMIT_NOFILE)  # the tasks'; the parent raises its own
        self.fd_holder = fd_holder.FdHolder()
        self._process = SpawnerProcess(self._serve)
        self.cgroups = Cgroups(self._process)
        self.held = Held(self._process)
        self.spawner = Spawner(self._process, self.cgroups, ahead=1)
        with suppress(OSError):  # the kernel has no process for us now: the first start that needs it forks it
            self._process.begin()

    def _serve(self, parent: socket.socket) -> NoReturn:
        """Run @spawner: each of its parts has one order."""
        maker = server.Maker(parent, self.open_files, self.cgroups.tree)
        remover = Remover(self.cgroups.tree)
        sockets, fifos = notify_holder.NotifyHolder(), fd_holder.Stayer(self.fd_holder.theirs)
        server.serve(
            parent,
            Part(orders.MAKE, maker.make, begin=maker.begin),
            Part(orders.REMOVE, remover.remove, begin=remover.clear_old),
            Part(orders.HOLD, sockets.hold, stay=sockets.serve),
            Part(orders.EXECUTE, fifos.release, stay=fifos.stay, needs=(self.fd_holder.theirs.fileno(),)),
        )

    def do_deferred(self) -> None:
        """Do the work that can wait for a calm moment."""
        self.spawner.do_deferred()
        self.held.do_deferred()
        self.cgroups.do_deferred()

    def hand_over(self) -> None:
        """Close, but let a process that holds something live. It gives that to the next program, and ends."""
        self.spawner.end_children()
        self.held.do_deferred()
        with suppress(OSError):
            if self.held.anything and self._process.begun:
                self._process.order(orders.EXECUTE)
        self._close(kill=not self.held.anything)

    def close(self) -> None:
        """End @spawner and the children that are made ahead."""
        self.spawner.close()
        self._close(kill=True)

    def _close(self, *, kill: bool) -> None:
        self._process.close(kill=kill)
        self.held.close(killed=kill)
        self.cgroups.close()
