"""Set the title of a process, which `ps` shows, with setproctitle.

The package setproctitle imports `logging`, for the case that its extension is missing. That costs 15 ms, and 2 MB in a
process that lives as long as the machine. So this module loads the extension without the package.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import PathFinder
from types import ModuleType

from supervisor.core.text import visible
from supervisor.host.lookup import with_reserve


@with_reserve
def show(text: str) -> None:
    """Set the title of this process.

    Raises:
        ImportError: setproctitle, or its extension for this Python, is not installed.
        OSError: it cannot be loaded now.
    """
    _extension().setproctitle(visible(text))


@cache
def _extension() -> ModuleType:
    package = PathFinder.find_spec("setproctitle")
    places = package.submodule_search_locations if package else None
    found = PathFinder.find_spec("setproctitle._setproctitle", places) if places else None
    loader = found.loader if found else None
    if found is None or loader is None or (extension := loader.create_module(found)) is None:
        raise ImportError("setproctitle is not installed")
    loader.exec_module(extension)
    return extension
