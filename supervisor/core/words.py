"""Errors of the machine in the words that people read, without the numbers that only programs need."""

from __future__ import annotations


def in_words(error: BaseException) -> str:
    """Like "No space left on device", with the path if it has one; of other errors what they say themselves."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
