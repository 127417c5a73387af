"""Decide who gets answers: root, the owner of the supervisor, and the members of `socket_group` (contract, promise 9).

The kernel identifies the peer (SO_PEERCRED, SO_PEERGROUPS; unix(7)). The server trusts nothing that a client sends.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from supervisor.core.immutable import immutable

SO_PEERGROUPS = 59
SO_PEERPIDFD = 77
"""Socket options that Python does not name (unix(7))."""


@immutable
class Peer:
    """The process at the other end of a connection, as it was when it connected."""

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...]


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer, as the kernel reports it.

    Raises:
        OSError: the connection is already closed.
    """
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    except OSError:  # ERANGE: it is in more than 256 groups; only its primary group counts
        data = b""
    return Peer(pid, uid, gid, struct.unpack(f"{len(data) // 4}I", data))


def pidfd_of(connection: socket.socket) -> int:
    """Return a new descriptor of the process that has connected; -1 if this kernel has none for it (before Linux 6.5).

    Raises:
        OSError: the process has ended, or no descriptor is left.
    """
    try:
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return -1
        raise


def program_of(pid: int) -> str:
    """Return the name of a process; "?" when it has ended, or is in a pid namespace of its own."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n") or "?"
    except OSError:
        return "?"


def may_speak(peer: Peer, group: int | None) -> bool:
    """Say whether this peer gets answers. `group` is the gid of `socket_group`."""
    if peer.uid in (0, os.geteuid()):
        return True
    return group is not None and (peer.gid == group or group in peer.groups)
