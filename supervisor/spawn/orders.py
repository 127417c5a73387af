"""The protocol between the parent and a spawner process.

An order is one message: a letter, a path, and descriptors where the order needs some. Each letter belongs to one part
of the process:

| letter | part | path | descriptors |
|---|---|---|---|
| `+` | `server.Maker` makes children | of their cgroups (`joined`) | the channel of each child |
| `-` | `cgroup_tree.Remover` removes a cgroup | of the cgroup | |
| `h` | `notify_holder.NotifyHolder` holds a descriptor; without one it closes what it held | its name | one or none |
| `x` | `fd_holder.Stayer` ends with the parent, which will execute another program | | |

Only a Maker answers (`answer_of`). A socket that keeps messages apart carries both directions.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:  # the spawner must stay small
    from collections.abc import Callable

MAKE, REMOVE, HOLD, EXECUTE = b"+", b"-", b"h", b"x"

MOST = 16
"""Children of one order. Each costs a descriptor, of which a message may have 253."""

_ANSWER = 5
"""Bytes of an answer for one child: its pid or a negative errno, and whether it is in its cgroup."""

_RIGHTS = socket.CMSG_SPACE(4 * MOST)


class Part:
    """One part of a spawner process, as the process runs it."""

    def __init__(
        self,
        order: bytes,
        obey: Callable[[str, list[int]], object],
        *,
        begin: Callable[[], object] = lambda: None,
        stay: Callable[[], object] = lambda: None,
        needs: tuple[int, ...] = (),
    ) -> None:
        """Describe a part.

        Args:
            order: its letter.
            obey: carries out one order, with its path and the descriptors that have arrived.
            begin: is called before the first order.
            stay: does what is left to do when the parent's socket is closed. The process ends afterwards.
            needs: the descriptors of the parent that stay open for it.
        """
        self.order, self.obey, self.begin, self.stay, self.needs = order, obey, begin, stay, needs


def send(to: socket.socket, order: bytes, path: str = "", *fds: int) -> None:
    """Send an order.

    Raises:
        OSError: the process is gone, or too busy to take it now.
    """
    socket.send_fds(to, [order + os.fsencode(path)], fds)


def receive(parent: socket.socket) -> tuple[bytes, str, list[int]] | None:
    """Return an order, its path, and its descriptors. Return None if the parent has closed its socket."""
    try:
        order, ancillary, _, _ = parent.recvmsg(8192, _RIGHTS, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it has left an answer unread; its earlier orders can still be read
        return receive(parent)
    fds = [fd for _, _, data in ancillary for fd in memoryview(data).cast("i")]
    return (order[:1], os.fsdecode(order[1:]), fds) if order else None


def joined(paths: list[str]) -> str:
    """Return one text for the paths of cgroups in the same directory. "" means that a child has no cgroup."""
    return "\0".join([os.path.dirname(paths[0]), *map(os.path.basename, paths)])


def paths_of(text: str) -> list[str]:
    """Return the paths that `joined` has joined."""
    folder, *names = text.split("\0")
    return [f"{folder}/{name}" if folder else "" for name in names]


def answer(children: list[tuple[int, bool]]) -> bytes:
    """Return the answer to an order: for each child its pid or a negative errno, and whether it is in its cgroup."""
    return b"".join([pid.to_bytes(4, "little", signed=True) + bytes([inside]) for pid, inside in children])


def children_of(data: bytes) -> list[tuple[int, bool]]:
    """Return the children of an answer, see `answer`."""
    parts = [data[begin : begin + _ANSWER] for begin in range(0, len(data), _ANSWER)]
    return [(int.from_bytes(part[:4], "little", signed=True), bool(part[4])) for part in parts]
