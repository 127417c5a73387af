"""The errors of a config: all errors are reported at once, each with its file and line.

A check that fails raises `Wrong`. `Wrong` knows the key, but not the line. The walk over the table catches it and
goes on. `Report` adds the line and collects the errors. The result is either a config without an error, or one
`ConfigErrors` with everything that a person has to change.

There are two kinds of errors:

- An error *of the config* (syntax, keys, types, references) stays until somebody edits the file.
- An error *of the machine* (a missing command, directory or user) may end by itself: when a disk is mounted, or when a
  task has made the directory.

`check` and `reload` refuse both kinds. A start refuses only the first kind: after an error of the machine, only the
tasks that need the missing thing fail. So a check of the machine raises `Missing`, which holds the value that the task
starts with. Each error of the machine knows the tasks that it concerns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from supervisor.config.lines import Lines
from supervisor.config.messages import dotted, printable
from supervisor.core.immutable import immutable, replace


class ErrorKind(StrEnum):
    """The kinds of errors: what has to change so that the error ends."""

    CONFIG = "config"  # the file has to change
    MACHINE = "machine"  # the machine: a thing that the file names has to exist


@immutable
class Problem:
    """One error that a check of a value found. Its file and line are not known yet."""

    path: tuple[str, ...]  # a key, below the table that was checked
    message: str  # what is wrong; what is allowed
    kind: ErrorKind = ErrorKind.CONFIG

    def below(self, *outer: str) -> Problem:
        """Return the same problem with the path of an outer table."""
        return replace(self, path=(*outer, *self.path))


class Wrong(Exception):  # noqa: N818 - read as a word: `raise Wrong("no such user")`
    """An invalid value, with one or more problems. `good` is the part of it that can be checked further."""

    kind = ErrorKind.CONFIG

    def __init__(self, message: str = "", problems: Iterable[Problem] = (), good: object = None) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems) or (Problem((), message, self.kind),)
        self.good = good


class Missing(Wrong):
    """A valid value that names something that this machine does not have now. `good` is the value."""

    kind = ErrorKind.MACHINE


@immutable
class ConfigError:
    """One thing to change. As text: `FILE:LINE: task "NAME": KEY: what is wrong; what is allowed`.

    The text of an error of the machine ends with `[machine]`.
    """

    file: str  # "": there is no file
    line: int  # from 1; 1 also for an error of the whole file
    subject: str  # 'task "web"', "supervisor", "defaults", "" for the top of the file
    key: str  # "stop.grace"; "" for the table itself
    message: str
    kind: ErrorKind = ErrorKind.CONFIG
    tasks: tuple[str, ...] = ()  # the tasks whose start fails because of an error of the machine

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override: 3.12
        """Return the one line that a person reads."""
        place = f"{printable(self.file)}:{self.line}" if self.file else ""
        mark = f" [{self.kind}]" if self.kind is ErrorKind.MACHINE else ""
        return ": ".join(part for part in (place, self.subject, self.key, self.message) if part) + mark


class ConfigErrors(Exception):  # noqa: N818 - it is a tuple of errors
    """A config cannot be used. `errors` has every error, sorted by file and line.

    As text: one line for each error.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(sorted(errors, key=lambda error: (error.file, error.line)))
        super().__init__("\n".join(map(str, self.errors)))

    def __reduce__(self) -> tuple[type[ConfigErrors], tuple[tuple[ConfigError, ...]]]:  # type: ignore[explicit-override]
        """Pickle the errors, not their text: a check is made in a child process."""
        return ConfigErrors, (self.errors,)

    def of(self, kind: ErrorKind) -> tuple[ConfigError, ...]:
        """Return the errors of one kind."""
        return tuple(error for error in self.errors if error.kind is kind)


@immutable
class Section:
    """A table of a file: its position, and its name for people."""

    file: str  # as it was given, for people
    lines: Lines  # of that file
    path: tuple[str, ...]  # ("task", "web"); () is the top of the file
    subject: str

    def where(self, *below: str) -> str:
        """Return `FILE:LINE` of the table, or of a key in it."""
        return f"{self.file}:{self.line(*below)}"

    def line(self, *below: str) -> int:
        """Return the line of the table, or of a key in it."""
        return self.lines.line(self.path + below)


class Report:
    """The errors so far, each one once, and the warnings."""

    def __init__(self) -> None:
        self._errors: dict[ConfigError, dict[str, None]] = {}  # and the tasks that they concern
        self._warnings: dict[ConfigError, None] = {}

    def __len__(self) -> int:
        return len(self._errors)

    def file(self, file: str, line: int, message: str) -> None:
        """Add an error of a file as a whole."""
        self._errors[ConfigError(file, line, "", "", message)] = {}

    def wrong(self, section: Section, key: str, message: str) -> None:
        """Add an error of a key of a table; the key "" is the table itself."""
        self.problems(section, [Problem((key,) if key else (), message)])

    def problems(self, section: Section, problems: Iterable[Problem], tasks: Collection[str] = ()) -> None:
        """Add the problems that a check of this table found, and the tasks that they concern."""
        for problem in problems:
            self._errors.setdefault(_placed(section, problem), {}).update(dict.fromkeys(tasks))

    def warn(self, section: Section, problems: Iterable[Problem]) -> None:
        """Add warnings: things that are allowed, but that people should know."""
        for problem in problems:
            self._warnings[_placed(section, problem)] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return each warning as a line of text, sorted by file and line."""
        return tuple(map(str, sorted(self._warnings, key=lambda one: (one.file, one.line))))

    @property
    def errors(self) -> ConfigErrors:
        """Return every error, with the tasks that it concerns."""
        return ConfigErrors(replace(error, tasks=tuple(tasks)) for error, tasks in self._errors.items())


def _placed(section: Section, problem: Problem) -> ConfigError:
    path = problem.path
    line, key = section.line(*path), dotted(path)
    return ConfigError(section.file, line, section.subject, key, problem.message, problem.kind)
