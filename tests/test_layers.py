"""Imports run one way, and the core imports nothing that touches the world.

The layers are a table, lowest first; a module may import from its own layer and from lower ones. A package that is not
in the table fails, so that the table stays the picture of the house.
"""

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import supervisor
from supervisor import verbs

ROOT = Path(supervisor.__file__).parent

LAYERS = (
    ("version", "task"),
    ("core",),
    ("probes",),
    ("host",),
    ("store",),
    ("registry",),
    ("sandbox",),
    ("spawn",),
    ("runs",),
    ("usage",),
    ("logs",),
    ("triggers",),
    ("config",),
    ("imports",),
    ("control",),
    ("helpers",),
    ("shell",),
    ("verbs",),
    ("cli",),
    ("program",),
    ("__init__", "__main__"),
)

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Imports that are known and meant; each has its reason."""

IO = {
    "asyncio", "ctypes", "fcntl", "glob", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "pickle",
    "random", "resource", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess",
    "sys", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
"""What the core must not know: clocks, chance, the disk, the network, processes, logs."""

NOT_IN_THE_PARENT = (
    "supervisor.config",
    "argparse",
    "dataclasses",  # see `core.immutable`
    "inspect",
    "tomli",
    "tomllib",
    "asyncio",
    "psutil",
    "logging",
    "sqlite3",
    "datetime",
    "pathlib",
    "urllib",
    "http",
    "supervisor.cli",
)

MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """ "core.fleet" of supervisor/core/fleet.py; a package is its own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(path: Path, *, typing: bool = False) -> set[str]:
    """Every module that a file imports, also inside of functions; without those for the type checker only."""
    found = set()
    tree = ast.parse(path.read_text())
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden |= {id(inner) for branch in node.body for inner in ast.walk(branch)}
    for node in ast.walk(tree):
        if id(node) in hidden and not typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
    return found


def is_module(name: str) -> bool:
    place = ROOT.parent / name.replace(".", "/")
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def layer(name: str) -> int:
    package = name.split(".", maxsplit=1)[0]
    found = [number for number, packages in enumerate(LAYERS) if package in packages]
    assert found, f"{package} is in no layer: add it to the table"
    return found[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_downward(path: Path):
    name = name_of(path)
    for module in imports(path):
        if not module.startswith("supervisor."):
            continue
        other = module.removeprefix("supervisor.")
        meant = any(name == one and other.startswith(two) for one, two in EXCEPTIONS)
        assert layer(other) <= layer(name) or meant, f"{name} imports {other}, which is above it"


def test_every_exception_is_needed():
    """A permission that nobody uses any more goes."""
    used = {name_of(path): imports(path) for path in MODULES}
    for one, two in EXCEPTIONS:
        assert any(module.startswith(f"supervisor.{two}") for module in used.get(one, ())), f"{one} -> {two} is unused"


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).startswith("core")], ids=name_of)
def test_the_core_touches_nothing(path: Path):
    used = {module.split(".")[0] for module in imports(path, typing=True)}
    assert used.isdisjoint(IO), f"{name_of(path)} imports {', '.join(used & IO)}"
    found = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name))
    names = {node.id for node in found if isinstance(node.ctx, ast.Load)}  # a field may be called `input`
    assert names.isdisjoint({"open", "print", "input", "__import__", "exec", "eval"})


def test_no_circles():
    """No module needs itself by way of others: not at import time, not inside of a function, not for its types."""
    graph = {name_of(path): needed(path) for path in MODULES}
    path: list[str] = []
    done: set[str] = set()

    def walk(name: str) -> None:
        assert name not in path, f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(graph.get(name, ())):
            walk(other)
        done.add(path.pop())

    for name in graph:
        walk(name)


def needed(path: Path) -> set[str]:
    """The modules of ours that this one imports anywhere; not a package where a part of it is meant."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("supervisor"):
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [part for part in parts if is_module(part)]
            found += modules or [node.module]
    return {name.removeprefix("supervisor.") for name in found if name != "supervisor"}


def loaded_by(statement: str) -> set[str]:
    """What is in sys.modules after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _with_path(code: str) -> str:
    return f"import sys\nsys.path[:] = {[str(ROOT.parent), *sys.path]!r}\n{code}"


def test_the_parent_stays_small():
    """What only an errand, a child or supctl needs is not held by the parent for its whole life."""
    modules = "supervisor.program.boot, supervisor.shell.parent, supervisor.shell.linux, supervisor.host.title"
    kinds = "[supervisor.probes.load(kind) for kind in supervisor.probes.KINDS]"
    loaded = loaded_by(f"import {modules}\nsupervisor.host.title.show('supervisor')\n{kinds}")
    held = [name for name in NOT_IN_THE_PARENT if name in loaded]
    assert not held, f"the parent holds {', '.join(held)}"


def test_the_verbs_do_not_load_the_parser_into_the_parent():
    loaded = loaded_by("import supervisor.verbs\nsupervisor.verbs.load_all()")
    assert loaded.isdisjoint(NOT_IN_THE_PARENT)


HEAVY = ("supervisor.shell", "supervisor.host", "supervisor.core")
LIGHT = {f"supervisor.{name}" for name in ("core", "core.exits", "core.text", "core.utf8", "host", "host.stdio")}
"""Of these rooms, what `supctl` may have in it."""


def test_supctl_never_loads_the_parent():
    """`supctl` starts fast: it has neither the parent nor the host in it."""
    every = "\n".join(f"import supervisor.verbs.{verbs.module_of(name)}" for name in verbs.NAMES)
    loaded = loaded_by(f"import supervisor.cli.main\n{every}")
    heavy = [name for name in loaded if name.startswith(HEAVY) and name not in LIGHT]
    assert not heavy, f"supctl holds {', '.join(heavy)}"


def test_status_loads_little():
    """Half of the time that `supctl status` takes is imports; these would be for nothing."""
    loaded = loaded_by(
        "import supervisor.cli.main, supervisor.control.client\n"
        "supervisor.cli.main.parser('status').parse_args(['status', '--json'])"
    )
    assert loaded.isdisjoint({"typing", "shutil", "bz2", "lzma", "datetime", "inspect", "subprocess", "logging"})


# -- the family of verbs ----------------------------------------------------------------------------------------------

NOT_VERBS = {
    "__init__", "arguments", "content", "figures", "history_reader", "interface", "ofrun", "outcome", "output",
    "screen",
}  # fmt: skip


def test_every_verb_is_registered():
    files = {path.stem for path in (ROOT / "verbs").glob("*.py")} - NOT_VERBS
    assert files == set(map(verbs.module_of, verbs.NAMES))


@pytest.mark.parametrize("name", verbs.NAMES)
def test_a_verb_is_what_the_interface_says(name: str):
    module = verbs.load(name)
    assert isinstance(module, ModuleType)
    ends = {"local"} if hasattr(module, "local") else {"answer", "render"}
    missing = [part for part in ("EXAMPLE", "ROLE", "ACTS", "ARGUMENTS", *ends) if not hasattr(module, part)]
    assert not missing, f"{name} has no {', '.join(missing)}"
    assert all(line.startswith("supctl ") for line in module.EXAMPLE.splitlines()), "examples are command lines"
    assert f"supctl {name}" in module.EXAMPLE
    assert (module.__doc__ or "").startswith(f"`supctl {name}`")


def test_the_layers_are_a_table():
    packages = [package for row in LAYERS for package in row]
    assert len(packages) == len(set(packages))
    assert all(low != high for low, high in pairwise(LAYERS))
