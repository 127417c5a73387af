"""Any file gives a config, or errors with a position, each on one line."""

import json
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.config import Config, ConfigErrors, load
from supervisor.config.key import Key
from supervisor.config.schema import TOP

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module", autouse=True)
def _elsewhere() -> Iterator[None]:
    """An empty directory, so that no file of ours is included."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        yield
        os.chdir(before)


def check(data: bytes) -> None:
    with open("c.toml", "wb") as file:
        file.write(data)
    found = errors()
    if found is None:
        return
    assert found.errors
    assert len(str(found).splitlines()) == len(found.errors)
    for error in found.errors:
        assert str(error).isprintable()
        assert error.file
        assert 1 <= error.line <= (data.count(b"\n") + 1 if error.file == "c.toml" else 1)


def errors() -> ConfigErrors | None:
    try:
        assert isinstance(load("c.toml", {"PATH": "/bin", "HOME": "/h"}), Config)
    except ConfigErrors as caught:
        return caught
    return None


@given(st.binary(max_size=200))
@FUZZ
def test_bytes(data: bytes) -> None:
    check(data)


FRAGMENTS = st.sampled_from([
    "[task.a]\n", "[[task.a]]\n", "[task", "]", "command", " = ", '"', '"""', "'''", "{", "}", "[", ",", "\n", "#", "1",
    "nan", "true", "stop.grace", "${", "${A:-", "\\", "a", ".", "1979-05-27", "\r\n", "include", "freeze",
])  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
@FUZZ
def test_almost_toml(text: str) -> None:
    check(text.encode())


WORDS = st.sampled_from([
    "", "web", "a:b", "@g", "*", "[", "x[", "/", "/dev/zero", "..", "~", "-", "${X}", "${HOME}", "$${", "${A:-b}", "5s",
    "always", "notify", "triggered", "startup", "SIGTERM", "sh", "sh -c 'x", "0 0 31 2 *", "@daily", "022", "1G", "\0",
    "\n", "http://x:99999", "a:1", "Europe", "root", "file", "all", "Z" * 300,
])  # fmt: skip
SCALARS = st.one_of(
    WORDS,
    st.text(max_size=8),
    st.booleans(),
    st.integers(min_value=-(10**6), max_value=10**6),
    st.just(10**400),
    st.floats(),
)
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)


def table(keys: dict[str, Key], depth: int = 0) -> st.SearchStrategy[dict[str, object]]:
    """Tables with keys of the schema, and values that are wrong more often than right."""
    optional: dict[str, st.SearchStrategy[object]] = {}
    for key in keys.values():
        nested = table(dict(key.type.keys), depth + 1) if key.type.keys and depth < 2 else st.nothing()
        optional[key.name] = st.one_of(nested, ANY) if key.type.keys else ANY
    return st.lists(st.sampled_from(sorted(optional)), max_size=5, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: optional[name] for name in names})
    )


NAMES = st.sampled_from(["web", "web.err", "api", "a:1", "@x", "", "scribe"])
FILES = st.fixed_dictionaries(
    {},
    optional={
        "include": st.lists(WORDS.filter(lambda word: "*" not in word), max_size=2) | ANY,
        "supervisor": table(dict(TOP["supervisor"].type.keys or {})) | ANY,
        "defaults": table(dict(TOP["defaults"].type.keys or {})) | ANY,
        "group": st.dictionaries(NAMES, table(dict(TOP["group"].type.keys or {})), max_size=2) | ANY,
        "task": st.dictionaries(NAMES, table(dict(TOP["task"].type.keys or {})), max_size=3) | ANY,
        "tusk": ANY,
    },
)


def toml(value: object) -> str:
    """A value as TOML, on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return json.dumps(value.encode(errors="replace").decode()).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


def document(data: dict[str, object]) -> str:
    """A file as people write it: tables with headers, one line for each key."""
    lines: list[str] = []
    for name, top in data.items():
        if isinstance(top, dict) and name in ("supervisor", "defaults"):
            lines += [f"[{name}]", *(f"{toml(key)} = {toml(value)}" for key, value in top.items())]
        elif isinstance(top, dict) and all(isinstance(inner, dict) for inner in top.values()):
            for inner_name, inner in top.items():
                lines += [
                    f"[{name}.{toml(inner_name)}]",
                    *(f"{toml(key)} = {toml(value)}" for key, value in inner.items()),
                ]
        else:
            lines.insert(0, f"{name} = {toml(top)}")
    return "\n".join(lines)


@given(FILES)
@settings(FUZZ, max_examples=400)
def test_wrong_values(data: dict[str, object]) -> None:
    check(document(data).encode())
