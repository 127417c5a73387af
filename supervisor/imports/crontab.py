"""The format `crontab`: each job of cron becomes a task, whose command runs in the same shell.

What has no equal becomes a comment: settings for mail, and lines that are not understood. A job that a crontab of this
machine still has gets a comment, too: it would run twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from supervisor.config.errors import Wrong
from supervisor.imports import live_crontabs
from supervisor.imports.crontab_lines import Comment, Job, Line, Setting, Unknown, lines
from supervisor.imports.crontab_task import DELAY, FIXED, FOR_MAIL, ZONE, task_of
from supervisor.imports.interface import Imported, Source
from supervisor.imports.live_crontabs import Crontab
from supervisor.imports.naming import Names
from supervisor.imports.page import Page

HEAD = (
    'cron starts a job also while its last run is on. Here such a firing is skipped. As in cron: overlap = "allow".',
    'cron forgets what was due during a downtime. Here one run makes up for it. As in cron: catch_up = "none".',
    "cron mails the output. Here it is in the log: supctl logs NAME. notify_command tells people of failures.",
    "PATH is that of the supervisor, unless the crontab sets it. That of cron is /usr/bin:/bin.",
)
"""What each user of cron should know."""

REBOOT = (
    "@reboot: it runs at each start of the supervisor, and nothing waits for it. If it should run all the time, remove "
    "kind and mode: then it is started again when it ends."
)

_ABOUT = {
    "TZ": "TZ is for the commands only, as in cron. For the times, write timezone.",
    ZONE: f"{ZONE}: Debian's cron does not know it, other crons do. Is it the zone in which the jobs have run?",
    DELAY: f"{DELAY} is the key jitter.",
    **{name: f"{name} has no equal: the output is in the log. See notify_command." for name in FOR_MAIL},
    **{name: f"{name} has no effect, as in cron." for name in FIXED},
}
"""Comments on settings."""


def read(source: Source) -> Imported:
    """See `interface.Format`."""
    if source.file:
        crontab = live_crontabs.at(source.file, source.user, system=source.system)
    else:
        crontab = live_crontabs.own(source.user)
    return _Translation(crontab).imported()


class _Translation:
    """The work on one crontab, line by line."""

    def __init__(self, crontab: Crontab) -> None:
        self._crontab = crontab
        self._owner = crontab.owner or live_crontabs.caller()
        self._page = Page()
        self._names = Names()
        self._settings: dict[str, str] = {}  # of the lines so far
        self._unknown: list[str] = []
        self._standing = _standing()
        self._twice: dict[str, list[str]] = {}  # by the place of a crontab: the tasks that it still has

    def imported(self) -> Imported:
        """Translate each line."""
        self._page.say(f"From {self._crontab.place}, by `supctl import crontab`. Check it with `supctl check`.")
        for text in HEAD:
            self._page.say(f"- {text}")
        self._page.gap()
        known = list(lines(self._crontab.text, system=self._crontab.system))
        for number, line in known:
            self._line(number, line)
        warnings = [*_wrong_format(self._crontab, [line for _, line in known]), *self._warnings()]
        return Imported(self._page.text, tuple(warnings), tuple(self._unknown))

    def _line(self, number: int, line: Line) -> None:
        match line:
            case Comment("", empty=True):
                self._page.gap()
            case Comment(text):
                self._page.quote(text)
            case Setting(name, value):
                self._settings[name] = value
                if name in _ABOUT:
                    self._page.quote(f"{name} = {value}")
                    self._page.say(_ABOUT[name])
            case Job():
                self._job(number, line)
            case Unknown(text, why):
                self._refuse(number, text, why)

    def _job(self, number: int, job: Job) -> None:
        try:
            values = task_of(job, self._owner, self._settings)
        except Wrong as wrong:
            self._refuse(number, job.text, str(wrong))
            return
        name = self._names.new(job.command)
        places = self._standing.get((job.when, job.line), ())
        for place, _ in places:
            self._twice.setdefault(place, []).append(name)
        notes = [f"It is still in {place}, line {line}. Remove it there, or it runs twice." for place, line in places]
        self._page.task(name, values, [*notes, *([REBOOT] if job.at_boot else ())])

    def _refuse(self, number: int, text: str, why: str) -> None:
        self._unknown.append(f"{self._crontab.place}:{number}: not imported: {why}")
        self._page.say(f"Line {number} is not imported: {why}")
        self._page.quote(text)
        self._page.gap()

    def _warnings(self) -> Iterator[str]:
        if not self._names.taken:
            yield f"{self._crontab.place} has no job that can be imported"
        for place, names in self._twice.items():
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            yield f"{place} still has {listed}: remove the jobs there, or they run twice"


def _standing() -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Return the jobs of the crontabs of this machine, by time and command: where they are."""
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for crontab in live_crontabs.live():
        for number, line in lines(crontab.text, system=crontab.system):
            if isinstance(line, Job):
                found.setdefault((line.when, line.line), []).append((crontab.place, number))
    return found


def _wrong_format(crontab: Crontab, known: Iterable[Line]) -> Iterator[str]:
    """Warn of a crontab of the system that is read as that of a user: each command begins with a user."""
    jobs = [line for line in known if isinstance(line, Job)]
    if jobs and not crontab.system and all(live_crontabs.is_user(job.line.split()[0]) for job in jobs):
        yield f"{crontab.place}: each command begins with the name of a user; for a crontab of the system, add --system"
