"""`supervisor -c FILE --rehearse=DIRECTORY`: can this program take over from the supervisor that runs there?

That is what `supctl upgrade` asks of the installed program before it is executed, in a process of its own: everything
is imported, the config is checked, the journal is read. And if it fails on its trial, could the old one go on? That
one, from its copy, has to read the same journal as this one would have written it. Nothing is changed.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pkgutil import walk_packages

import supervisor
from supervisor.app import check
from supervisor.host.command import run
from supervisor.store import records
from supervisor.upgrade import PROGRAM

FAILED = 1

LIMIT = 10.0
"""Seconds for the old program to read the journal."""

_READS = """import sys; sys.path.insert(0, sys.argv[1])
from supervisor.store.records import unreadable; sys.exit(unreadable(*sys.argv[2:]) or 0)"""


def rehearse(explicit: str | None, directory: str) -> int:
    """Returns the exit code: 0, or what is wrong is on stderr."""
    for module in walk_packages(supervisor.__path__, "supervisor."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    journal, boot = f"{directory}/journal", records.boot_id()
    try:
        wrong = records.unreadable(journal, boot) or _no_way_back(journal, boot, f"{directory}/{PROGRAM}")
    except OSError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
        return FAILED
    return check(explicit)


def _no_way_back(journal: str, boot: str, program: str) -> str:
    """Why the running program, from its copy, could not take over again; "" when it could."""
    facts = records.peek(journal, boot).values()
    with tempfile.TemporaryDirectory() as place:
        ours = f"{place}/journal"
        records.Journal(ours, boot, "").write([records.rewritten(fact) for fact in facts])
        wrong = run((sys.executable, "-c", _READS, program, ours, boot), b"", LIMIT, last=True)
    return wrong and f"the running version could not take over again: {wrong.replace(f'{ours}: ', '')}"
