"""The journal: each line is an entry of systemd's, with fields of its own for task, instance, run and stream.

The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an entry; one that is too long for a datagram
goes as a sealed memory file, as sd_journal_send(3) does it. stdout is written with priority info, stderr with warning,
unless the line begins with a priority of its own ("<3>", sd-daemon(3)).

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
    """One for all tasks."""

    def __init__(self, place: str = PLACE) -> None:
        """Connects to nothing yet."""
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def append(self, origin: Origin, data: bytes) -> tuple[int, Loss]:
        """Sends lines. Returns how many bytes of them are through, as it may not wait, and what is lost of those."""
        done, lines, why = 0, 0, ""
        head = _fields(origin)
        while done < len(data):
            end = data.find(b"\n", done) + 1 or len(data)
            try:
                self._send(entry(head, data[done:end].removesuffix(b"\n"), origin.stream))
            except BlockingIOError:  # it is busy: the rest waits in the FIFO
                break
            except OSError as error:
                lines, why = lines + 1, f"the journal: {error.strerror}"
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
        """Gives the socket back."""
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
    """One entry; the message may hold anything, so it goes with its length."""
    own = _PRIORITY.match(line)
    priority = own[1] if own else b"6" if stream == "out" else b"4"
    text = line[own.end() :] if own else line
    return b"%sPRIORITY=%s\nMESSAGE\n%s%s\n" % (head, priority, len(text).to_bytes(8, "little"), text)
