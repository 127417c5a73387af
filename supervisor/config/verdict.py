"""Check a config for `supctl check` and `supervisor --check`. Both give the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from supervisor import triggers
from supervisor.config.errors import ConfigErrors
from supervisor.config.find import find
from supervisor.config.load import examine
from supervisor.core.definition import Config
from supervisor.core.immutable import immutable


@immutable
class Verdict:
    """A file, and whether a supervisor can run it."""

    path: str  # "": there is no file
    config: Config | None  # None: an error is one of the config itself
    found: ConfigErrors

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what is allowed, but people should know. Each warning is a line."""
        return self.config.warnings if self.config else ()

    @property
    def schedules(self) -> dict[str, str]:
        """Return by task when it runs by itself, in words. A zone without data is an error of its own."""
        found = {}
        for task in self.config.tasks.values() if self.config else ():
            with suppress(OSError, ValueError):
                if words := "; ".join(make().words for _, make in triggers.of(task.timing)):
                    found[task.name] = words
        return found

    @property
    def summary(self) -> str:
        """Return the lines that say that the config is good, and when its tasks run by themselves."""
        count = len(self.config.tasks) if self.config else 0
        good = f"{self.path}: ok, {count} task{'' if count == 1 else 's'}"
        return "\n".join((good, *(f"{task}: {words}" for task, words in self.schedules.items())))


def judge(explicit: str | None, environ: Mapping[str, str], *, beforehand: bool = True) -> Verdict:
    """Check this file, or else the file that `supervisor` takes. The arguments are those of `find` and `load`."""
    path = ""
    try:
        path, _why = find(explicit, environ)
        config, found = examine(path, environ, beforehand=beforehand)
    except ConfigErrors as errors:
        return Verdict(path, None, errors)
    return Verdict(path, config, found)
