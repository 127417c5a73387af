"""Translate the files of other programs into a config. The formats are files of this folder; `FORMATS` names each."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.imports.interface import Format

FORMATS = {"crontab": "the jobs of cron: a crontab of a user, /etc/crontab, or a file of /etc/cron.d"}
"""Each format, and what it is. Its module has the same name, and is loaded on use."""

LATER = ("webjobs",)
"""Formats of the contract that this version does not have yet."""


def load(name: str) -> Format:
    """Return the module of a format."""
    module: Format = import_module(f"supervisor.imports.{name}")
    return module
