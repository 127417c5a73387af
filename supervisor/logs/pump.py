"""Read a FIFO exactly once: bytes leave the FIFO only after they have been written to their destination.

A look at a FIFO (`peek`) is a tee(2) into a private pipe, which copies no byte, and a read of that pipe. The bytes stay
in the FIFO until they are written. There they outlive this process. Then `consume` removes them with a splice(2) to
/dev/null, again without a copy. So a line without an end yet just stays, and a killed scribe loses nothing. A block
that it has written but not taken out would be written twice. The `ledger` prevents that.

The kernel may refuse tee(2): a filter forbids the system call, or no pipe is available. Then a look takes the bytes out
and keeps them in memory. Output still flows, but a killed scribe loses the bytes that it holds.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import termios
from contextlib import suppress

from supervisor.core.words import in_words

BLOCK = 256 * 1024
"""Bytes of one look. The flood of one task delays the others by no more than one look, a fifth of a millisecond.
Smaller blocks cost more: a file system takes a long write at half the price. Larger blocks leave the CPU cache before
they are written."""

PIPE = 1024 * 1024
"""Bytes that a FIFO of a talkative task may hold: the kernel's usual limit (/proc/sys/fs/pipe-max-size).
That is several times BLOCK, because a block stays in the FIFO until it is written. The task can go on writing
meanwhile."""

ALL_PIPES = 4 * PIPE
"""Bytes that the FIFOs of talkative tasks share: the tenth FIFO gets a tenth. It is kernel memory that counts for no
task. When all tasks have fallen silent, one process still has to write what the FIFOs hold."""

TALKATIVE = 16 * 1024
"""A task that writes this many bytes at once gets a larger FIFO than the usual 64 KiB. Most tasks never need one."""

_SPLICE_F_NONBLOCK = 2

_libc_tee = ctypes.CDLL(None, use_errno=True).tee
_libc_tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_libc_tee.restype = ctypes.c_ssize_t


class Pump:
    """The reader that all FIFOs share."""

    def __init__(self) -> None:
        self.why = ""  # why a look takes bytes out; "": it does not
        self.most = BLOCK  # bytes of one look
        self._fds: tuple[int, ...] = ()
        self._held: dict[int, bytes] = {}  # bytes taken out and not yet written, by FIFO
        self._count = array.array("i", [0])
        self.renew()

    def renew(self) -> None:
        """Open the descriptors that tee(2) needs, unless they are open. Set `why` if that fails."""
        if self._fds:
            return
        try:
            self._fds = _opened()
            self.why = ""
            self.most = min(BLOCK, enlarged(self._fds[0]))
        except OSError as error:
            self.why = in_words(error)
            self.most = BLOCK

    def peek(self, fd: int, most: int) -> bytes | None:
        """Return the first bytes in a FIFO. b"": it has ended (no writer is left); None: it is empty now.

        Raises:
            OSError: it is not a FIFO.
        """
        if not self._fds or fd in self._held:
            return self._consumed(fd, most)
        count = _tee(fd, self._fds[1], most)
        if count > 0:
            return os.read(self._fds[0], count)
        return b"" if count == 0 else None

    def consume(self, fd: int, count: int) -> None:
        """Take this many bytes out. They are there, because no other process reads."""
        if fd in self._held:
            self._held[fd] = self._held[fd][count:]
            if not self._held[fd]:
                del self._held[fd]
            return
        while count > 0:
            count -= os.splice(fd, self._fds[2], count)

    def unread(self, fd: int) -> int:
        """Return the number of bytes in the FIFO now, including those that a look has taken out."""
        fcntl.ioctl(fd, termios.FIONREAD, self._count)
        return self._count[0] + len(self._held.get(fd, b""))

    def holds(self, fd: int) -> bool:
        """Return whether some bytes of the FIFO are in memory only."""
        return fd in self._held

    def forget(self, fd: int) -> None:
        """Forget a FIFO that is about to be closed."""
        self._held.pop(fd, None)

    def _consumed(self, fd: int, most: int) -> bytes | None:
        held = self._held.get(fd, b"")
        if len(held) >= most:
            return held[:most]
        try:
            held += os.read(fd, most - len(held))
        except BlockingIOError:
            return held or None
        if held:
            self._held[fd] = held
        return held

    def close(self) -> None:
        """Close its descriptors."""
        for fd in self._fds:
            os.close(fd)


def _tee(fd: int, pipe: int, most: int) -> int:
    """Call tee(2) without blocking. Return -1 if the FIFO is empty now.

    Raises:
        OSError: the kernel refuses it, or one of the two is not a pipe.
    """
    count: int = _libc_tee(fd, pipe, most, _SPLICE_F_NONBLOCK)
    number = ctypes.get_errno() if count < 0 else 0
    if number not in (0, errno.EAGAIN, errno.EINTR):
        raise OSError(number, f"tee: {os.strerror(number)}")
    return count


def _opened() -> tuple[int, ...]:
    """Open the private pipe (its reading end, its writing end) and /dev/null, and try both system calls.

    Raises:
        OSError: no descriptor or no pipe is left, or a call is refused.
    """
    fds: list[int] = []
    try:
        fds += os.pipe2(os.O_CLOEXEC)
        fds.append(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        trial = os.pipe2(os.O_CLOEXEC)
        try:
            os.write(trial[1], b".")
            _tee(trial[0], fds[1], 1)
            os.read(fds[0], 1)
            os.splice(trial[0], fds[2], 1)
        finally:
            os.close(trial[0])
            os.close(trial[1])
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return tuple(fds)


def enlarged(fd: int, number: int = 1) -> int:
    """Enlarge a pipe, as one of `number` pipes. The kernel limits the pipes of a user who is not root.

    Returns its new capacity, in bytes.
    """
    size = min(PIPE, ALL_PIPES // number)
    while size > room_of(fd):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << size.bit_length() - 1)  # the kernel rounds up
            break
        size //= 2
    return room_of(fd)


def room_of(fd: int) -> int:
    """Return the capacity of a pipe, in bytes."""
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
