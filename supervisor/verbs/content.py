"""Read the content for the stdin of a run into a sealed memory file, which `supctl` sends with its request.

The supervisor never waits for the file, pipe or terminal that it comes from. What it gets cannot change any more.
"""

from __future__ import annotations

import os
import select
import stat

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import USAGE
from supervisor.store import inputs

PATIENCE = 2.0
"""Seconds that a FIFO may take to have a writer."""

PIECE = 1 << 20


def sealed(path: str) -> int:
    """Return the descriptor of a sealed memory file with the content of a file; "-": of our stdin.

    Raises:
        RefusedError: it cannot be read, is too large, or is a FIFO without a writer.
    """
    name = "the standard input" if path == "-" else path
    try:
        fd = 0 if path == "-" else _opened(path)
        memory = os.memfd_create("supctl-stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        _copy(fd, memory, name)
        inputs.seal(memory)
    except OSError as error:
        raise RefusedError(f"--stdin: cannot read {name}: {error.strerror}", USAGE) from None
    return memory


def _opened(path: str) -> int:
    """Open a file. A FIFO must get a writer soon.

    Raises:
        RefusedError: see `sealed`.
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise RefusedError(f"--stdin: {path} is a directory", USAGE)
    if stat.S_ISFIFO(mode) and not select.select([fd], [], [], PATIENCE)[0]:
        raise RefusedError(f"--stdin: nobody writes to the FIFO {path}", USAGE)
    os.set_blocking(fd, True)
    return fd


def _copy(source: int, target: int, name: str) -> None:
    size = os.fstat(source).st_size
    while size <= inputs.LARGEST and (piece := os.read(source, PIECE)):
        os.write(target, piece)
        size = max(size, os.fstat(target).st_size)
    if size > inputs.LARGEST:
        raise RefusedError(f"--stdin: {name} has more than {inputs.LARGEST >> 20} MiB, which is the limit", USAGE)
