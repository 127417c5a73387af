"""Reading a FIFO exactly once: what is read is taken out of it only when it is where it shall be.

A look at a FIFO (`peek`) is a tee(2) into a private pipe, which copies no byte, and a read of that. What was looked
at stays in the FIFO, where it outlives this process, until it is written; then it is taken out (`take`, a splice(2)
to /dev/null, again without a copy). So a line that has no end yet just stays, and a scribe that is killed has lost
nothing. What it has written but not taken out would be written twice: `ledger` tells.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from contextlib import suppress

BLOCK = 256 * 1024
"""Bytes of one look: a flood of one task holds up the others by no more than this takes, a fifth of a millisecond. Less
costs more: a file system takes a long write at half the price. With more, what was read has left the cache before it is
written."""

PIPE = 1024 * 1024
"""Bytes that a FIFO of a talkative task may hold, the kernel's usual limit (/proc/sys/fs/pipe-max-size). Many times a
BLOCK, as that one is in the FIFO until it is written: the task goes on writing meanwhile."""

ALL_PIPES = 4 * PIPE
"""Bytes that the FIFOs of talkative tasks share: the tenth gets a tenth of it. It is memory of the kernel that counts
for nobody; and what is in it when all of them have fallen silent has still to be written, by one process."""

TALKATIVE = 16 * 1024
"""Bytes at once from which a task shall have a larger FIFO than the usual 64 KiB. Most never need more."""

_SPLICE_F_NONBLOCK = 2

_tee = ctypes.CDLL(None, use_errno=True).tee
_tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_tee.restype = ctypes.c_ssize_t


class Pump:
    """One for all FIFOs."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self.most = min(BLOCK, enlarged(self._read))  # bytes of one look

    def peek(self, fd: int, most: int) -> bytes | None:
        """The first bytes that are in it; b"" at its end (nobody can write any more), None when there is nothing now.

        Raises:
            OSError: it is no FIFO.
        """
        count: int = _tee(fd, self._write, most, _SPLICE_F_NONBLOCK)
        if count > 0:
            return os.read(self._read, count)
        if count == 0:
            return b""
        number = ctypes.get_errno()
        if number in (11, 4):  # EAGAIN, EINTR
            return None
        raise OSError(number, f"tee: {os.strerror(number)}")

    def take(self, fd: int, count: int) -> None:
        """Takes so many bytes out; they are there, as nobody else reads."""
        while count > 0:
            count -= os.splice(fd, self._null, count)

    def close(self) -> None:
        """Gives its descriptors back."""
        for fd in (self._read, self._write, self._null):
            os.close(fd)


def enlarged(fd: int, number: int = 1) -> int:
    """Lets a pipe hold more, as one of so many; who is no root has a limit for all of its pipes.

    Returns what it can hold, in bytes.
    """
    size = min(PIPE, ALL_PIPES // number)
    while size > room_of(fd):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << size.bit_length() - 1)  # the kernel rounds up
            break
        size //= 2
    return room_of(fd)


def room_of(fd: int) -> int:
    """What a pipe can hold, in bytes."""
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
