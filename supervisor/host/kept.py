"""The protocol of everything that the supervisor keeps in its runtime directory, where somebody may remove it."""

from __future__ import annotations

from typing import Protocol


class Kept(Protocol):
    """A file, or some files of one kind. `shell.runtime_dir` calls both methods, and nobody else does."""

    def is_there(self) -> bool:
        """Return whether the runtime directory still has it, and not another one of the same name."""

    def renew(self) -> None:
        """Make it anew, with everything that it had. It may be called again after it has failed.

        Raises:
            OSError: the runtime directory is full or gone, or no descriptor is left.
        """
