"""A copy of the program to which a test adds files and lines, as a developer would."""

import shutil
from pathlib import Path

from lab import Lab

import supervisor

PROJECT = Path(supervisor.__file__).parents[1]


def copied(lab: Lab, place: Path) -> Path:
    """Copy program and documentation to `place`. All programs of the lab run from there."""
    for name in ("supervisor", "docs"):
        shutil.copytree(PROJECT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    lab.env["PYTHONPATH"] = str(place)
    return place


def register(registry: Path, table: str, name: str, module: str) -> None:
    """Add a line to the table of a family."""
    before, line, after = registry.read_text().partition(f"{table} = {{\n")
    assert line, f"{registry} has no table {table}"
    registry.write_text(f'{before}{line}    "{name}": "{module}",\n{after}')
