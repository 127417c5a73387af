"""The other files of a config: which ones the globs of `include` name, and what to watch for changes.

Files come pattern by pattern, sorted within one; a file that is named twice, or that is the main file
itself, is read once. A glob may match nothing (an empty tasks.d); a plain path may not. An included file
does not include: one place says what belongs to the config.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable

from supervisor.config.errors import Report, Section
from supervisor.config.source import Source, read
from supervisor.config.wording import quote

_MAGIC = re.compile(r"[*?\[]")


def included(main: Section, patterns: Iterable[str], report: Report) -> tuple[list[Source], bool]:
    """Read every included file once; and whether all of them could be read."""
    seen = {os.path.realpath(main.source.file)}
    sources: list[Source] = []
    whole = True
    for pattern in patterns:
        for file in _matches(main, pattern, report):
            real = os.path.realpath(file)
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
    """The files that a pattern names, spelled as the main file is."""
    folder = os.path.dirname(main.source.file)
    if _MAGIC.search(pattern):
        return [os.path.join(folder, name) for name in sorted(glob.glob(pattern, root_dir=folder or None))]
    file = os.path.join(folder, pattern)
    if not os.path.lexists(file):
        report.wrong(main, "include", f"{quote(pattern)} does not exist; allowed: a file that exists, or a glob")
        return []
    return [file]


def watched(main: Source, patterns: Iterable[str], sources: Iterable[Source]) -> tuple[tuple[str, str], ...]:
    """The directories that exist, and the names in them (as a glob) whose change may concern the config.

    A symbolic link counts where it points, and whatever changes beside it: a link in its way may be replaced.
    """
    places = [(_folder(main.folder, pattern), os.path.basename(pattern)) for pattern in patterns]
    for source in (main, *sources):
        real = os.path.realpath(source.file)
        name = "*" if os.path.islink(source.file) else os.path.basename(source.file)
        places += ((source.folder, glob.escape(name) if name != "*" else name), os.path.split(glob.escape(real)))
    return tuple(sorted({(folder, name) for folder, name in places if os.path.isdir(folder)}))


def _folder(base: str, pattern: str) -> str:
    """The directory before the first glob character of a pattern."""
    magic = _MAGIC.search(pattern)
    fixed = os.path.dirname(pattern[: magic.start()] if magic else pattern)
    return os.path.normpath(os.path.join(base, fixed))
