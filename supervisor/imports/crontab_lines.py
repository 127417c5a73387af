"""Read the lines of a crontab (crontab(5)): jobs, settings, comments, and what is none of these.

Both formats are read: that of a user, and that of the system, whose jobs name a user after the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from supervisor.core.immutable import immutable

_SETTING = re.compile(r"""(?:"([^"]+)"|'([^']+)'|([^\s="']+))\s*=\s*(.*)""", re.DOTALL)
_JOB = re.compile(r"-?(?P<when>@\w+|(?:\S+[ \t]+){4}\S+)[ \t]+(?P<rest>\S.*)", re.DOTALL)
_SYSTEM = re.compile(r"(?P<user>\S+)[ \t]+(?P<command>\S.*)", re.DOTALL)
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1""", re.DOTALL)
_UNTIL_STDIN = re.compile(r"(?:[^%\\]|\\.)*\\?", re.DOTALL)
_ESCAPED = re.compile(r"\\([%\\])")
_NEWLINE = re.compile(r"(?<!\\)%")


@immutable
class Job:
    """A command, and when it runs."""

    text: str  # the whole line
    when: str  # five fields, or a word such as "@daily"
    user: str  # "": the file does not say so
    line: str  # the command as it is written, with the text for its stdin

    @property
    def at_boot(self) -> bool:
        """Return whether it runs once, when the machine has booted."""
        return self.when == "@reboot"

    @property
    def command(self) -> str:
        """Return what the shell gets."""
        return _split(self.line)[0]

    @property
    def stdin(self) -> str | None:
        """Return the text after the first `%`, which the command reads. None: there is none."""
        return _split(self.line)[1]


@immutable
class Setting:
    """A variable for the jobs below it."""

    name: str
    value: str


@immutable
class Comment:
    """A comment, or an empty line."""

    text: str
    empty: bool = False


@immutable
class Unknown:
    """A line that cron does not understand either."""

    text: str
    why: str


Line = Job | Setting | Comment | Unknown


def lines(text: str, *, system: bool) -> Iterator[tuple[int, Line]]:
    """Yield each line with its number."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, _line(line.lstrip(" \t").removesuffix("\r"), system=system)


def _line(text: str, *, system: bool) -> Line:
    if not text or text.startswith("#"):
        return Comment(text.removeprefix("#").strip(), empty=not text)
    if setting := _SETTING.fullmatch(text.rstrip()):
        return _setting(text, next(filter(None, setting.groups()[:3])), setting[4])
    job = _JOB.fullmatch(text)
    if not job:
        return Unknown(text, "this is neither a job nor a setting")
    when = " ".join(job["when"].split())
    if not system:
        return Job(text, when, "", job["rest"])
    owned = _SYSTEM.fullmatch(job["rest"])
    return Job(text, when, owned["user"], owned["command"]) if owned else Unknown(text, "it has a user, but no command")


def _setting(text: str, name: str, value: str) -> Setting | Unknown:
    if not value.startswith(("'", '"')):
        return Setting(name, value)
    quoted = _QUOTED.fullmatch(value)
    return Setting(name, quoted[2]) if quoted else Unknown(text, "the value must end with its quote")


def _split(written: str) -> tuple[str, str | None]:
    r"""Return the command and its input, as Debian's cron makes them.

    The first `%` ends the command, and further ones are newlines. A `\%` is a plain `%`. In the command, a `\\` is a
    backslash.
    """
    found = _UNTIL_STDIN.match(written)
    end = found.end() if found else 0
    command = _ESCAPED.sub(r"\1", written[:end])
    if end == len(written):
        return command, None
    stdin = _NEWLINE.sub("\n", written[end + 1 :]).replace(r"\%", "%")
    return command, stdin if stdin.endswith("\n") or not stdin else f"{stdin}\n"
