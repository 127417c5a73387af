"""The interface of a format: it reads a file of another program, and returns a page of TOML.

A format is a module of this folder and a line in `imports.FORMATS`. What has no equal in the config becomes a comment
of the page, with the line of the file. `supctl check` accepts each page.
"""

from __future__ import annotations

from typing import Protocol

from supervisor.core.immutable import immutable


@immutable
class Source:
    """The file to import, as the command line names it."""

    file: str  # a path, "-" for stdin, or "" for the file that the format has by default
    user: str  # to whom it belongs; "": to the caller, unless the file says something else
    system: bool  # it is of the system: it names a user for each of its tasks


@immutable
class Imported:
    """What became of a file."""

    text: str  # the page of TOML
    warnings: tuple[str, ...]  # what people should know before they use the page
    unknown: tuple[str, ...]  # the lines that were not understood, with the reason; they are comments of the page


class Format(Protocol):
    """The module of a format."""

    def read(self, source: Source) -> Imported:
        """Translate a file.

        Raises:
            OSError, ImportFailedError: it cannot be read.
        """


class ImportFailedError(Exception):
    """A file cannot be imported. The text says why, and what to do."""
