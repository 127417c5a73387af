"""conf/supervisor.toml against the schema: it shows every key, marks those not available yet, and has no error."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.config import load
from supervisor.config.key import Key, walk
from supervisor.config.machine import Machine, Scope
from supervisor.config.messages import NOT_YET
from supervisor.config.schema import GROUP, POOL, SUPERVISOR, TASK, TOP

EXAMPLE = Path(__file__).parents[2] / "conf" / "supervisor.toml"
TABLES = {"": TOP, "supervisor": SUPERVISOR, "defaults": TASK, "group": GROUP, "pool": POOL, "task": TASK}
NO_DEFAULT = {
    "command", "python", "directory", "user", "umask", "environment", "environment_file", "after", "requires",
    "give_up", "tasks", "limits", "group", "groups", "capabilities", "read_only", "read_write", "inaccessible",
    "credentials", "system_calls", "include", "name", "runtime_dir", "state_dir", "log_dir", "socket_group",
    "auto_freeze", "notify_command", "schedule", "timezone", "every", "expect", "catch_up_parallel",
    "health", "watchdog", "dump_signal", "health_listen", "pool", "slots", "retry", "on",
}  # fmt: skip
"""What is shown with an example, as it has no default that could be written."""

_TABLE = re.compile(r"(?:# )?\[(\w+)[^\]]*\]")
_KEY = re.compile(r"(?P<comment># )?(?P<later>later: )?(?P<line>\w+ *= .*)")


@dataclass(frozen=True)
class Shown:
    """One line that shows a key, in a comment or not."""

    number: int
    table: Mapping[str, Key]
    later: bool
    name: str
    value: object


def shown() -> Iterator[Shown]:
    """Every line of the file that shows a key."""
    table = TOP
    for number, line in enumerate(EXAMPLE.read_text().splitlines(), 1):
        if heading := _TABLE.fullmatch(line):
            table = TABLES[heading[1]]
        elif found := _KEY.match(line):
            ((name, value),) = tomllib.loads(found["line"]).items()
            yield Shown(number, table, bool(found["later"]), name, value)


def keys_of(table: Mapping[str, Key]) -> dict[int, str]:
    """Every key of a table and of the tables in it, by identity: tables that share keys need to show them once."""
    found = {}
    for key in table.values():
        found[id(key)] = key.name
        found |= keys_of(key.type.keys or {})
    return found


def mentioned(table: Mapping[str, Key], name: str, value: object) -> set[int]:
    """The keys that a line shows: its own, and those in its value."""
    key = table[name]
    inner = value if isinstance(value, dict) and key.type.keys else {}
    return {id(key)}.union(*(mentioned(key.type.keys or {}, sub, item) for sub, item in inner.items()))


def test_it_shows_every_key() -> None:
    text = EXAMPLE.read_text()
    seen = set().union(*(mentioned(line.table, line.name, line.value) for line in shown()))
    seen |= {id(TOP[name]) for name in TOP if re.search(rf"^\[{name}\b", text, re.MULTILINE)}
    assert [name for key, name in keys_of(TOP).items() if key not in seen] == []


@pytest.mark.parametrize("line", list(shown()), ids=lambda line: f"{line.number}-{line.name}")
def test_a_key_is_marked_as_later_exactly_when_it_is_refused(line: Shown) -> None:
    _, problems = walk(line.table, {line.name: line.value}, Scope(Machine(os.environ), str(EXAMPLE.parent)))
    assert any(NOT_YET in problem.message for problem in problems) == line.later, problems


def _probe(line: Shown) -> bool:
    return line.name == "ready" and isinstance(line.value, dict)


WITH_DEFAULT = [line for line in shown() if not line.later and line.name not in NO_DEFAULT and not _probe(line)]


@pytest.mark.parametrize("line", WITH_DEFAULT, ids=lambda line: f"{line.number}-{line.name}")
def test_a_key_is_shown_with_its_default(line: Shown) -> None:
    key = line.table[line.name]
    scope = Scope(Machine(os.environ), str(EXAMPLE.parent))
    value = key.type.parse(line.value, scope)
    default = key.default
    if isinstance(value, dict):
        assert value == {name: getattr(default, name) for name in value}
        assert default is not None
    else:
        assert value == default


def test_the_example_has_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """For root, and for anybody else."""
    assert list(load(str(EXAMPLE)).tasks) == ["heartbeat"]
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert list(load(str(EXAMPLE), {"PATH": os.defpath, "HOME": "/home/me"}).tasks) == ["heartbeat"]
