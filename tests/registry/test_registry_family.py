"""Each file of `supervisor/registry` describes a helper that is registered, and each helper has a program."""

import ast
from pathlib import Path

import pytest

import supervisor
from supervisor import registry
from supervisor.core.definition import Config, Settings, Task
from supervisor.registry.interface import Helper

ROOT = Path(supervisor.__file__).parent
SETTINGS = Settings(name="x", runtime_dir="/run/x", state_dir="/s", log_dir="/l", sample=0.0)
QUIET = Config(path="/x.toml", settings=SETTINGS, tasks={}, groups={})


def test_every_file_is_registered() -> None:
    files = {path.stem for path in (ROOT / "registry").glob("*.py")} - {"__init__", "interface"}
    assert {f"supervisor.registry.{name}" for name in files} == set(registry.HELPERS.values())


def test_every_program_is_registered() -> None:
    """The other files of `helpers` are parts of a program; they have no `main`."""
    programs = {f"@{path.stem}" for path in (ROOT / "helpers").glob("*.py") if _has_main(path)}
    assert programs == set(registry.HELPERS)


def _has_main(path: Path) -> bool:
    return any(isinstance(one, ast.FunctionDef) and one.name == "main" for one in ast.parse(path.read_text()).body)


@pytest.mark.parametrize("name", registry.HELPERS)
def test_a_helper_is_what_the_interface_says(name: str) -> None:
    helper = registry.load(name)
    assert isinstance(helper, Helper)
    assert helper.name == name
    assert all((helper.does, helper.needed_if, helper.told, helper.down))
    task = helper.task("/run/x", SETTINGS)
    assert task.helper
    assert registry.of(task) is helper
    assert task.python == f"supervisor.helpers.{name[1:]}:main"
    assert not helper.needed(QUIET), "a config without tasks needs no helper"


def test_a_task_is_no_helper() -> None:
    assert registry.of(Task("scribe", command=("true",))) is None
