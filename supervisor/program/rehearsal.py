"""`supervisor -c FILE --rehearse=DIRECTORY`: can this program take over from the supervisor that runs there?

`supctl upgrade` runs this rehearsal with the installed program before it executes that program. The rehearsal is a
separate process. It imports every module, checks the config, and reads the journal of the running supervisor. It
changes nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages

import supervisor
from supervisor.core.exits import FAILED
from supervisor.program.check import check
from supervisor.store import layout
from supervisor.store.journal import boot_id, unreadable


def rehearse(explicit: str | None, directory: str) -> int:
    """Return the exit code: 0, or another one after a line on stderr with the error."""
    for module in walk_packages(supervisor.__path__, "supervisor."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    try:
        wrong = unreadable(layout.journal(directory), boot_id())
    except OSError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
        return FAILED
    return check(explicit, strict=False)
