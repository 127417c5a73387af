"""The structure in figures: rooms, circles, lines of code, and how long the sentences are.

    python3 tests/house.py [CHECKOUT]

It reads the files and imports nothing, so it also measures an older checkout.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).parents[1]
SENTENCE = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z`*\[])|\n\s*\n")
NO_MESSAGE = re.compile(
    r"(?:SELECT|INSERT|UPDATE|DELETE|BEGIN|PRAGMA|ALTER|WITH|CHOWN) |(?:[@a-z0-9_-]+ )*[@a-z]*[_@0-9]"
)
NO_PROSE = re.compile(r"```[\s\S]*?```|<!--[\s\S]*?-->|^(?: {4,}|\||#|\s*[-*] |\s*\w+: ).*$", re.MULTILINE)


def needs(root: Path) -> dict[str, set[str]]:
    """For each module its imports of ours: at the top, inside of functions, and for types. A package is its name."""
    modules = {_name(path, root): path for path in sorted(root.rglob("*.py"))}
    return {name: {one for one in _imports(path, root.name, modules) if one != name} for name, path in modules.items()}


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, package: str, modules: Mapping[str, Path]) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            base = (node.module or "").removeprefix(package).lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                yield full if full in modules else base or "__init__"
        elif isinstance(node, ast.Import):
            yield from (
                one.name.removeprefix(f"{package}.") for one in node.names if one.name.startswith(f"{package}.")
            )


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The sets of modules that need each other, each in order (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in graph:
                continue
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)


def rooms(graph: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The same graph, of the folders; a module at the top is a room of its own."""
    found: dict[str, set[str]] = {}
    for name, others in graph.items():
        here = name.split(".")[0]
        found.setdefault(here, set()).update(one.split(".")[0] for one in others if one.split(".")[0] != here)
    return found


def lengths(texts: Iterable[str]) -> list[int]:
    """The words of each sentence, the longest first."""
    sentences = [one for text in texts for one in SENTENCE.split(NO_PROSE.sub("\n\n", text))]
    return sorted((len(one.split()) for one in sentences if len(one.split()) > 1), reverse=True)


def messages(root: Path) -> Iterable[str]:
    """Texts for people: every string of two words or more that is not a docstring. An inserted value is one word."""
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text())
        passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        passed |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for text in (_text(node) for node in ast.walk(tree) if id(node) not in passed):
            if " " in text and "\n" not in text and not NO_MESSAGE.match(text):
                yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def docstrings(root: Path) -> Iterable[str]:
    """Of every module, class and function."""
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def main(words: list[str]) -> int:
    """Print the figures of one checkout."""
    checkout = Path(words[0]) if words else HERE
    root = checkout / "supervisor"
    graph = needs(root)
    folders = rooms(graph)
    pages = [checkout / "README.md", *sorted((checkout / "docs").glob("*.md"))]
    print(f"rooms                 {len(folders)}: {' '.join(sorted(folders))}")
    for what, found in (("circles of rooms", circles(folders)), ("circles of modules", circles(graph))):
        print(f"{what:21} {len(found)}")
        for one in found:
            print(f"  {' '.join(one)}")
    sources = [path.read_text() for path in root.rglob("*.py")]
    print(f"modules, lines        {len(sources)}, {sum(text.count(chr(10)) for text in sources)}")
    print(f"README                {len((checkout / 'README.md').read_text().splitlines())} lines")
    prose = {
        "docstrings": docstrings(root),
        "docstrings of tests": docstrings(checkout / "tests"),
        "messages": (clause for text in messages(root) for clause in text.split("; ")),
        "README and docs": (one.read_text() for one in pages),
    }
    for what, texts in prose.items():
        found = lengths(texts)
        print(f"words of a sentence   {what}: mean {sum(found) / len(found):.1f}, longest {found[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
