"""Who may speak: root, the owner of the supervisor, and the members of `socket_group` (contract, promise 9).

The kernel says who is at the other end (SO_PEERCRED, SO_PEERGROUPS; unix(7)); nothing that a client sends is believed.
"""

from __future__ import annotations

import os
import socket
import struct

from supervisor.core.immutable import immutable

SO_PEERGROUPS = 59


@immutable
class Peer:
    """The process at the other end of a connection, at the time of its connect."""

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...]


def peer_of(connection: socket.socket) -> Peer:
    """Asks the kernel.

    Raises:
        OSError: the connection is already gone.
    """
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    except OSError:  # ERANGE: in more than 256 groups; then only its primary one is looked at
        data = b""
    return Peer(pid, uid, gid, struct.unpack(f"{len(data) // 4}I", data))


def program_of(pid: int) -> str:
    """What the process calls itself; "?" when it has ended, or is in a namespace of its own."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n") or "?"
    except OSError:
        return "?"


def may_speak(peer: Peer, group: int | None) -> bool:
    """Whether this peer gets answers; `group` is the gid of `socket_group`."""
    if peer.uid in (0, os.geteuid()):
        return True
    return group is not None and (peer.gid == group or group in peer.groups)
