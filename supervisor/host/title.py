"""The title of a process, which `ps` shows: by setproctitle.

Its package imports `logging`, for the case that its extension is missing: 15 ms and 2 MB in a process that lives as
long as the machine. So the extension is loaded without the package around it.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import PathFinder
from types import ModuleType


def show(text: str) -> None:
    """Names this process.

    Raises:
        ImportError: setproctitle, or its extension for this Python, is not installed.
    """
    _extension().setproctitle(text)


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
