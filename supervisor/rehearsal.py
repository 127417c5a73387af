"""`supervisor -c FILE --rehearse=DIRECTORY`: can this program take over from the supervisor that runs there?

That is what `supctl upgrade` asks of the installed program before it is executed, in a process of its own: everything
is imported, the config is checked, the journal is read. Nothing is changed, and no process is started.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages

import supervisor
from supervisor.app import check
from supervisor.store import records

FAILED = 1


def rehearse(explicit: str | None, directory: str) -> int:
    """Returns the exit code: 0, or what is wrong is on stderr."""
    for module in walk_packages(supervisor.__path__, "supervisor."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    try:
        wrong = records.unreadable(f"{directory}/journal", records.boot_id())
    except OSError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
        return FAILED
    return check(explicit)
