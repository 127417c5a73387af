"""The error of a request that cannot be done, with a text for the person who made it."""

from __future__ import annotations

from supervisor.core.exits import REFUSED


class RefusedError(Exception):
    """A request cannot be done. The text says why, and what the person can do."""

    def __init__(self, text: str, exit_code: int = REFUSED) -> None:
        """`exit_code` is the exit code of `supctl`."""
        super().__init__(text)
        self.exit_code = exit_code
