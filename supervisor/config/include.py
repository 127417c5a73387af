"""Find the included files: which files the patterns of `include` name, and what to watch for changes.

Files are read pattern by pattern, in sorted order within a pattern. A file that is named twice is read once, and so is
the main file. A glob may match nothing (an empty tasks.d); a plain path must exist. An included file cannot include
others: one place says what belongs to the config.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable

from supervisor.config.errors import Report, Section
from supervisor.config.messages import quote
from supervisor.config.source import Source, read
from supervisor.host.patience import NoAnswerError, asked, looking

_MAGIC = re.compile(r"[*?\[]")


def included(main: Section, patterns: Iterable[str], report: Report) -> tuple[list[Source], bool]:
    """Read every included file once. Return the files, and whether all of them could be read."""
    seen = {os.path.realpath(main.file)}
    sources: list[Source] = []
    whole = True
    for pattern in patterns:
        for file in _matches(main, pattern, report):
            real = asked(os.path.realpath, file, file)
            if real in seen:
                continue
            seen.add(real)
            source = read(file, report)
            if source is None:
                whole = False
            else:
                sources.append(source)
    return sources, whole


def _matches(main: Section, pattern: str, report: Report) -> list[str]:
    """Return the files that a pattern names, in the spelling of the main file."""
    folder = os.path.dirname(main.file)
    if _MAGIC.search(pattern):
        try:
            with looking(os.path.join(folder, pattern)):
                names = sorted(glob.glob(pattern, root_dir=folder or None))
        except NoAnswerError as error:
            report.wrong(main, "include", f"{quote(pattern)}: {error}; allowed: files that can be read")
            return []
        return [os.path.join(folder, name) for name in names]
    file = os.path.join(folder, pattern)
    if not asked(os.path.lexists, file, otherwise=True):
        report.wrong(main, "include", f"{quote(pattern)} does not exist; allowed: a file that exists, or a glob")
        return []
    return [file]


def watched(main: Source, patterns: Iterable[str], sources: Iterable[Source]) -> tuple[tuple[str, str], ...]:
    """Return existing directories, each with the names in it (as a glob) whose change may concern the config.

    For a symbolic link, the target counts. Every name beside the link counts, too: a link on the way to the target
    may be replaced.
    """
    places = [(_folder(main.folder, pattern), os.path.basename(pattern)) for pattern in patterns]
    for source in (main, *sources):
        real = os.path.realpath(source.file)
        name = "*" if os.path.islink(source.file) else os.path.basename(source.file)
        places += ((source.folder, glob.escape(name) if name != "*" else name), os.path.split(glob.escape(real)))
    return tuple(sorted({(folder, name) for folder, name in places if asked(os.path.isdir, folder, otherwise=False)}))


def _folder(base: str, pattern: str) -> str:
    """Return the directory before the first glob character of a pattern."""
    magic = _MAGIC.search(pattern)
    fixed = os.path.dirname(pattern[: magic.start()] if magic else pattern)
    return os.path.normpath(os.path.join(base, fixed))
