"""The kinds of questions that can be put to a task.

A kind is a file here and a line in `KINDS`; a test compares the two. What the answers mean is `core.health`'s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

KINDS = {
    "http": "a URL that must answer",
    "tcp": "an address that must accept",
    "command": "a command that must succeed",
}


def load(kind: str) -> ModuleType:
    """The module of a kind, see `interface`."""
    return import_module(f"supervisor.probes.{kind}")
