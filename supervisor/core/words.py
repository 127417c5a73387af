"""Write errors of the machine in words for people, without the numbers that only programs need."""

from __future__ import annotations


def in_words(error: BaseException) -> str:
    """Return "No space left on device" or the like, with the path if there is one; for other errors their own text."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
