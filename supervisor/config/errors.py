"""What is wrong with a config: all of it at once, each error with its place.

A check that fails raises `Wrong`, which knows the key but not where it stands; the walk over the
table catches it and goes on. `Report` adds the place and collects. At the end there is either a
config without an error, or one `ConfigErrors` with everything that a person has to change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from supervisor.config.wording import dotted, printable
from supervisor.core.immutable import immutable

if TYPE_CHECKING:
    from supervisor.config.source import Source

Problem = tuple[tuple[str, ...], str]
"""A key, as a path below the table that was checked, and what is wrong with it; what is allowed."""


class Wrong(Exception):  # noqa: N818 - read as a word: `raise Wrong("no such user")`
    """A value that cannot be: one or more problems with it; `good` is what of it can be checked further."""

    def __init__(self, message: str = "", problems: Iterable[Problem] = (), good: object = None) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems) or (((), message),)
        self.good = good


@immutable
class ConfigError:
    """One thing to change. As text: `FILE:LINE: task "NAME": KEY: what is wrong; what is allowed`."""

    file: str  # "": no file at all
    line: int  # from 1; 1 also for what concerns the whole file
    subject: str  # 'task "web"', "supervisor", "defaults", "" for the top of the file
    key: str  # "stop.grace"; "" for the table itself
    message: str

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override: 3.12
        """The one line that a person reads."""
        place = f"{printable(self.file)}:{self.line}" if self.file else ""
        return ": ".join(part for part in (place, self.subject, self.key, self.message) if part)


class ConfigErrors(Exception):  # noqa: N818 - it is a tuple of errors
    """A config cannot be used; `errors` has everything that is wrong with it, by file and line.

    As text: one line for each error.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(sorted(errors, key=lambda error: (error.file, error.line)))
        super().__init__("\n".join(map(str, self.errors)))


@immutable
class Section:
    """A table of a file: where it stands and what people call it."""

    source: Source
    path: tuple[str, ...]  # ("task", "web"); () is the top of the file
    subject: str

    def where(self, *below: str) -> str:
        """`FILE:LINE` of the table, or of a key in it."""
        return f"{self.source.file}:{self.line(*below)}"

    def line(self, *below: str) -> int:
        """The line of the table, or of a key in it."""
        return self.source.lines.line(self.path + below)


class Report:
    """The errors so far, each one once; and the warnings, which are no errors."""

    def __init__(self) -> None:
        self._errors: dict[ConfigError, None] = {}
        self._warnings: dict[ConfigError, None] = {}

    def __len__(self) -> int:
        return len(self._errors)

    def file(self, file: str, line: int, message: str) -> None:
        """Something is wrong with a file as such."""
        self._errors[ConfigError(file, line, "", "", message)] = None

    def wrong(self, section: Section, key: str, message: str) -> None:
        """Something is wrong with a key of a table; "" for the table itself."""
        self.problems(section, [((key,) if key else (), message)])

    def problems(self, section: Section, problems: Iterable[Problem]) -> None:
        """Add what a check of this table found."""
        for path, message in problems:
            self._errors[_placed(section, path, message)] = None

    def warn(self, section: Section, problems: Iterable[Problem]) -> None:
        """Add what can be so, and that people should know of."""
        for path, message in problems:
            self._warnings[_placed(section, path, message)] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each as a line, by file and line."""
        return tuple(map(str, sorted(self._warnings, key=lambda one: (one.file, one.line))))

    def finish(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            ConfigErrors: there is at least one error.
        """
        if self._errors:
            raise ConfigErrors(self._errors)


def _placed(section: Section, path: tuple[str, ...], message: str) -> ConfigError:
    return ConfigError(section.source.file, section.line(*path), section.subject, dotted(path), message)
