"""Ask another program, and return what it writes. Not for the parent: it would wait for the program."""

from __future__ import annotations

import subprocess

TIME_LIMIT = 10.0
"""Seconds for the program. One that only says something needs much less."""


class FailedError(Exception):
    """The program has failed, or took too long. The text is what it wrote to stderr, or what happened."""


def output_of(words: tuple[str, ...], largest: int = 1 << 16) -> bytes:
    """Run a program, and return its output.

    Args:
        words: the program and its arguments.
        largest: bytes of the output that are allowed.

    Raises:
        FailedError: it has failed, took too long, or wrote too much.
        OSError: there is no such program.
    """
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{words[0]} took longer than {TIME_LIMIT:g} s") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise FailedError(said[:400] or f"{words[0]} ended with status {done.returncode}")
    if len(done.stdout) > largest:
        raise FailedError(f"{words[0]} wrote more than {largest} bytes")
    return done.stdout
