"""Whether there is a program: where it is searched, and `${NAME}`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config.errors import Wrong
from supervisor.config.interpolate import interpolate
from supervisor.core.definition import Config

Good = Callable[..., Config]
Bad = Callable[..., list[str]]


@pytest.fixture
def other(place: Path) -> Path:
    """A second directory with a program that is in no PATH of the supervisor."""
    (place / "other").mkdir()
    (place / "other/tool").write_text("#!/bin/sh\n")
    (place / "other/tool").chmod(0o755)
    (place / "path.env").write_text(f'# a comment\nexport PATH="{place}/other:/bin"\n')
    (place / "plain.env").write_text("A=1\nMYPATH=/x\n")
    (place / "late.env").write_text("PATH=$PATH:/x\n")
    return place


FOUND = [
    'command = "run"',
    'command = "bin/run"',
    'command = "${HOME_OF_TOOLS:-other}/tool"',
    'command = "./tool"\ndirectory = "other"',
    'command = "tool"\nenvironment.PATH = "/nowhere:other"',
    'command = "tool"\nenvironment.PATH = "other"\ninherit_environment = false',
    'command = "tool"\nenvironment.PATH = ":/nowhere"\ndirectory = "other"',
    'command = "sh"\ninherit_environment = false',
    'command = "tool"\nenvironment_file = ["path.env"]',
    'command = "tool"\nenvironment_file = ["plain.env", "path.env", "plain.env"]',
    'command = "run"\nenvironment_file = ["plain.env"]',
    # what is not known before the start is no error
    'command = "nope"\nenvironment_file = ["late.env"]',
    'command = "nope"\nenvironment_file = ["-missing.env"]',
    'command = "nope-${SUPERVISOR_INSTANCE}"',
    'command = "nope"\nenvironment.PATH = "/x/${SUPERVISOR_TASK}"',
]


@pytest.mark.parametrize("lines", FOUND)
def test_found(good: Good, other: Path, lines: str) -> None:
    assert good(f"[task.web]\n{lines}").tasks


NOWHERE = 'is not found in PATH ("{}"); give its full path, or set PATH'
NOT_FOUND = [
    ('command = "tool"', f'"tool" {NOWHERE.format("DIR/bin")}'),
    ('command = "run"\nenvironment.PATH = "/x:/y"', f'"run" {NOWHERE.format("/x:/y")}'),
    ('command = "run"\ninherit_environment = false', f'"run" {NOWHERE.format(os.defpath)}'),
    ('command = "tool"\nenvironment_file = ["plain.env"]', f'"tool" {NOWHERE.format("DIR/bin")}'),
    ('command = "./tool"', '"./tool" does not exist; allowed: a program that exists'),
    ('command = "bin/run/x"', '"bin/run/x" cannot be accessed (not a directory); allowed: a program that exists'),
    ('command = "./tool"\ndirectory = "bin"', '"DIR/bin/./tool" does not exist; allowed: a program that exists'),
    (
        'command = "plain"\nenvironment.PATH = "x:bin"',
        '"bin/plain" is not executable; allowed: a program, see chmod +x',
    ),
    ('command = "/dev/null"', '"/dev/null" is not executable; allowed: a program, see chmod +x'),
]


@pytest.mark.parametrize(("lines", "message"), NOT_FOUND)
def test_not_found(bad: Bad, other: Path, lines: str, message: str) -> None:
    assert bad(f"[task.web]\n{lines}") == [f'c.toml:2: task "web": command: {message} [machine]']


def test_for_another_user_the_bits_count(good: Good, bad: Bad, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert good('[task.web]\ncommand = "run"\nuser = "root"').tasks
    assert len(bad('[task.web]\ncommand = "run"')) == 1
    assert len(bad('[task.web]\ncommand = "plain"\nuser = "root"')) == 1


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ('python = "a:main"', ""),
        ('python = "json.tool:main"', ""),
        ('python = "sys:exit"', ""),
        ('python = "supervisor.version:x"', ""),
        ('python = "loud:main"', ""),  # is not executed
        ('python = "inner:main"\ndirectory = "other"', ""),
        ('python = "a:main"\ndirectory = "other"', ""),  # in the path
        ('python = "space.b:main"\ndirectory = "other"', ""),
        ('python = "inner:main"', "DIR"),
        ('python = "no.such:fn"', "DIR"),
        ('python = "no.such:fn"\ndirectory = "other"', "DIR/other"),
    ],
)
def test_the_module_of_a_callable(
    good: Good, bad: Bad, other: Path, monkeypatch: pytest.MonkeyPatch, lines: str, missing: str
) -> None:
    monkeypatch.syspath_prepend(other if "a:main" in lines else "/nowhere")
    (other / "loud.py").write_text("raise SystemExit")
    (other / "other/inner.py").touch()
    (other / "other/space").mkdir()
    if not missing:
        assert good(f"[task.web]\n{lines}").tasks
        return
    name = lines.split('"')[1].partition(":")[0].partition(".")[0]
    what = f'no module "{name}", neither in "{missing}" nor in the path of this Python'
    assert bad(f"[task.web]\n{lines}") == [
        f'c.toml:2: task "web": python: {what}; allowed: a module that can be imported; see the key directory [machine]'
    ]


ENVIRON = {"WHO": "world", "TWO": "two words", "EMPTY": "", "SUPERVISOR_TASK": "outer"}

TEXTS = [
    ("plain", "plain"),
    ("${WHO}", "world"),
    ("<${WHO}${WHO}>", "<worldworld>"),
    ("${TWO}", "two words"),
    ("${EMPTY}", ""),
    ("${EMPTY:-x}", "x"),
    ("${NONE:-}", ""),
    ("${NONE:-a b:-c}", "a b:-c"),
    ("${WHO:-x}", "world"),
    ("$${WHO}", "${WHO}"),
    ("$$${WHO}", "$${WHO}"),
    ("$WHO $ $$ $1 $(x) ${} ${x%.*} ${1} ${WHO-x} ${WHO", "$WHO $ $$ $1 $(x) ${} ${x%.*} ${1} ${WHO-x} ${WHO"),
    ("${SUPERVISOR_TASK}:${SUPERVISOR_INSTANCE}", "${SUPERVISOR_TASK}:${SUPERVISOR_INSTANCE}"),
    ("${SUPERVISOR_REPLICAS:-1}", "${SUPERVISOR_REPLICAS}"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_interpolate(text: str, expected: str) -> None:
    assert interpolate(text, ENVIRON, at_start=True) == expected


@pytest.mark.parametrize("text", ["${NONE}", "${NONE} ${NADA}", "${WHO:-x", "${NONE:-${WHO}}"])
def test_interpolate_refuses(text: str) -> None:
    with pytest.raises(Wrong) as caught:
        interpolate(text, ENVIRON, at_start=True)
    assert len(caught.value.problems) == (2 if " " in text else 1)


def test_values_stay_in_their_word(good: Good) -> None:
    task = good("[task.web]\ncommand = \"run ${TWO} '${NONE:-a b}' ${EMPTY}\"").tasks["web"]
    assert task.command == ("run", "two words", "a b", "")


def test_environment_values(good: Good) -> None:
    task = good('[task.web]\ncommand = "run"\nenvironment.A = "${TWO}-${SUPERVISOR_INSTANCE}"').tasks["web"]
    assert task.environment == {"A": "two words-${SUPERVISOR_INSTANCE}"}
