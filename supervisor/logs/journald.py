"""systemd's journal: each line becomes an entry, with fields for task, instance, run and stream.

The scribe uses the native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). Each entry is one datagram. An entry that is
too long for a datagram goes as a sealed memory file, as with sd_journal_send(3).

Lines of stdout have priority info, those of stderr have warning. A line may begin with another priority ("<3>",
sd-daemon(3)), which then counts.

    journalctl SUPERVISOR_TASK=web SUPERVISOR_STREAM=err
"""

from __future__ import annotations

import array
import fcntl
import os
import re
import socket
from contextlib import suppress

from supervisor.logs.file import Loss
from supervisor.logs.format import Origin

PLACE = "/run/systemd/journal/socket"

_PRIORITY = re.compile(rb"<([0-7])>")
_F_ADD_SEALS, _ALL_SEALS = 1033, 0xF


class JournalSink:
    """The connection to the journal that all tasks share."""

    def __init__(self, place: str = PLACE) -> None:
        """Connect to nothing yet."""
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def append(self, origin: Origin, data: bytes) -> tuple[int, Loss]:
        """Send lines without blocking. Return how many of their bytes are done with, and what is lost of those."""
        done, lines, why = 0, 0, ""
        head = _fields(origin)
        while done < len(data):
            end = data.find(b"\n", done) + 1 or len(data)
            try:
                self._send(entry(head, data[done:end].removesuffix(b"\n"), origin.stream))
            except BlockingIOError:  # the journal is busy: the remaining lines wait in the FIFO
                break
            except OSError as error:
                lines, why = lines + 1, f"journald: {error.strerror}"
            done = end
        return done, Loss(done if why else 0, lines, why)

    def _send(self, message: bytes) -> None:
        try:
            self._socket.sendto(message, self._place)
        except OSError as error:
            if error.errno not in (90, 105):  # EMSGSIZE, ENOBUFS
                raise
            self._send_as_file(message)

    def _send_as_file(self, message: bytes) -> None:
        fd = os.memfd_create("supervisor-line", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.write(fd, message)
            fcntl.fcntl(fd, _F_ADD_SEALS, _ALL_SEALS)
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]).tobytes())]
            self._socket.sendmsg([], passed, 0, self._place)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the socket."""
        with suppress(OSError):
            self._socket.close()


def _fields(origin: Origin) -> bytes:
    task, _, index = origin.key.rpartition(":")
    name = task if index == "1" else origin.key
    return (
        f"SYSLOG_IDENTIFIER={name}\nSUPERVISOR_TASK={task}\nSUPERVISOR_INSTANCE={index}\n"
        f"SUPERVISOR_RUN={origin.run}\nSUPERVISOR_STREAM={origin.stream}\n"
    ).encode()


def entry(head: bytes, line: bytes, stream: str) -> bytes:
    """Make one entry. The message may hold any bytes, so its length goes before it."""
    own = _PRIORITY.match(line)
    priority = own[1] if own else b"6" if stream == "out" else b"4"
    text = line[own.end() :] if own else line
    return b"%sPRIORITY=%s\nMESSAGE\n%s%s\n" % (head, priority, len(text).to_bytes(8, "little"), text)
