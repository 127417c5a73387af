"""Only `store.layout` spells the paths of the runtime and state directories."""

import ast
import inspect
from pathlib import Path

import pytest

import supervisor
from supervisor.store import layout

ROOT = Path(supervisor.__file__).parent
PATHS = [
    function(*"x" * len(inspect.signature(function).parameters))
    for _, function in inspect.getmembers(layout, inspect.isfunction)
]
NAMES = {path.split("/")[1].removesuffix("x") for path in PATHS if path.startswith("x/")}
"""The first name of each path below its directory."""


@pytest.mark.parametrize("path", [path for path in sorted(ROOT.rglob("*.py")) if path.stem != "layout"], ids=str)
def test_no_other_module_spells_a_path(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        for part in node.values if isinstance(node, ast.JoinedStr) else ():
            text = str(part.value) if isinstance(part, ast.Constant) else ""
            assert text.removeprefix("/").partition("/")[0] not in NAMES, f"line {node.lineno}: use `store.layout`"


def test_paths_differ() -> None:
    assert len(set(PATHS)) == len(PATHS)


def test_layout_imports_nothing() -> None:
    """The spawner and `supctl` load it."""
    imports = [
        node for node in ast.walk(ast.parse(inspect.getsource(layout))) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [ast.unparse(node) for node in imports] == ["from __future__ import annotations"]
