"""The first step of both programs: the three standard descriptors, and the encoding of arguments and paths.

A program may be started with descriptor 0, 1 or 2 closed. Then the next file or socket that it opens would get that
number, and Python has no stream for it. The output of a task that such a program forks would be lost.
"""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r", "strict"), ("stdout", "w", "strict"), ("stderr", "w", "backslashreplace"))


def prepare() -> None:
    """Give every standard descriptor a file and a stream. In a locale that is not UTF-8, start again in UTF-8 mode.

    Without UTF-8 mode, an argument, which may be any bytes, could not be passed on unchanged.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    for number, (name, mode, errors) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115 - for good
            setattr(sys, name, stream)
