"""The file itself: which one, unreadable files, the settings of the supervisor, and the time it takes."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config import Config, ConfigErrors, find, load
from supervisor.core.definition import AutoFreeze, Settings

Good = Callable[..., Config]


def errors(path: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        load(path, {})
    return str(caught.value)


UNREADABLE = [
    # path              how it is made                                  the error
    ("no.toml", lambda _: None, "no.toml:1: cannot read the config: no such file or directory"),
    ("dir.toml", Path.mkdir, "dir.toml:1: cannot read the config: a directory, not a file"),
    ("fifo.toml", os.mkfifo, "fifo.toml:1: cannot read the config: not a regular file"),
    ("/dev/zero", lambda _: None, "/dev/zero:1: cannot read the config: not a regular file"),
    ("a\nb", lambda _: None, "a\\nb:1: cannot read the config: no such file or directory"),
    ("a\0b", lambda _: None, "a\\x00b:1: cannot read the config: a path cannot hold a NUL"),
    ("", lambda _: None, '"":1: cannot read the config: no such file or directory'),
    ("x" * 300, lambda _: None, f"{'x' * 300}:1: cannot read the config: file name too long"),
    ("loop", lambda path: path.symlink_to("loop"), "loop:1: cannot read the config: too many levels of symbolic links"),
    ("big", lambda path: path.write_bytes(b"#" * 10_000_000), "big:1: cannot read the config: larger than 8 MiB"),
    ("latin", lambda path: path.write_bytes(b"\n# \xe9\n"), "latin:2: byte 0xe9 is not UTF-8; a config is UTF-8 text"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "make", "expected"), UNREADABLE, ids=[repr(case[0][:9]) for case in UNREADABLE])
def test_unreadable(place: Path, path: str, make: Callable[[Path], object], expected: str) -> None:
    make(place / path)
    assert errors(path) == expected


NOT_TOML = [
    ("a = 1\nb =", "x:2: not valid TOML: Invalid value (column 4)"),
    ("[task.web]\ncommand = 'x", "x:2: not valid TOML: "),
    ("[a]\n[a]", "x:2: not valid TOML: Cannot declare ('a',) twice (column 3)"),
    ("a = 1\n\na = 2", "x:3: not valid TOML: Cannot overwrite a value (column 6)"),
    ("a = " + "[" * 500, "x:1: not usable TOML: TOML inline arrays/tables are nested more than the allowed "),
    ("a" + ".a" * 2000 + " = 1", "x:1: not usable TOML: TOML key has more than the allowed 1000 parts"),
    ("a = " + "9" * 5000, "x:1: not usable TOML: Exceeds the limit (4300 digits)"),
    ("\x00", "x:1: not valid TOML: "),
]


@pytest.mark.parametrize(("text", "expected"), NOT_TOML)
def test_not_toml(place: Path, text: str, expected: str) -> None:
    (place / "x").write_text(text)
    found = errors("x")
    assert found.startswith(expected)
    assert "\n" not in found


def test_no_permission(place: Path) -> None:
    (place / "x").write_text("")
    (place / "x").chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        assert errors(str(place / "x")) == f"{place}/x:1: cannot read the config: permission denied"
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "\ufeff"])
def test_an_empty_file_is_an_error(bad: Callable[[str], list[str]], text: str) -> None:
    """A reload of it would remove every task."""
    assert bad(text) == ["c.toml:1: the file is empty; allowed: at least the table [supervisor]"]


def test_windows_line_ends(good: Good, place: Path) -> None:
    (place / "x").write_bytes(b'[task.a]\r\npython = "a:b"\r\n\r\n[task.b]\r\npython = "a:b"\r\n')
    assert [task.where for task in load("x", {}).tasks.values()] == ["x:1", "x:4"]


def test_the_path_is_shown_as_it_was_given(good: Good, place: Path) -> None:
    good('[task.web]\ncommand = "run"')
    for path in ("c.toml", "./c.toml", f"{place}/c.toml"):
        config = load(path, {"PATH": f"{place}/bin"})
        assert (config.path, config.tasks["web"].where) == (path, f"{path}:1")


def test_errors_are_sorted(place: Path) -> None:
    (place / "x").write_text("[task.b]\nx = 1\n[supervisor]\nx = 1\n[task.a]\nx = 1\n[defaults]\nx = 1\n")
    with pytest.raises(ConfigErrors) as caught:
        load("x", {})
    places = [(error.file, error.line) for error in caught.value.errors]
    assert places == sorted(places)
    assert len(places) == 6


def test_our_own_environment_is_the_default(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "x").write_text('[supervisor]\nname = "x"\n[task.web]\ncommand = ["run", "${OURS}"]')
    monkeypatch.setenv("PATH", f"{place}/bin")
    monkeypatch.setenv("OURS", "mine")
    assert load("x").tasks["web"].command == ("run", "mine")


# which file


def test_find(place: Path) -> None:
    first = "the first that exists of ./supervisor.toml, ./conf/supervisor.toml, /etc/supervisor/supervisor.toml"
    if not os.path.exists("/etc/supervisor/supervisor.toml"):
        with pytest.raises(ConfigErrors) as caught:
            find(None, {"SUPERVISOR_CONFIG": ""})
        assert str(caught.value) == (
            "no config found: $SUPERVISOR_CONFIG is not set, and these files do not exist: "
            "./supervisor.toml, ./conf/supervisor.toml, /etc/supervisor/supervisor.toml; name one with -c FILE"
        )
    (place / "conf").mkdir()
    (place / "conf/supervisor.toml").write_text("")
    assert find(None, {}) == ("./conf/supervisor.toml", first)
    (place / "supervisor.toml").write_text("")
    assert find(None, {}) == ("./supervisor.toml", first)
    assert find(None, {"SUPERVISOR_CONFIG": "x"}) == ("x", "named by $SUPERVISOR_CONFIG")
    assert find("y", {"SUPERVISOR_CONFIG": "x"}) == ("y", "given with -c")


# the settings


def test_settings_of_root(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    places = ("/run/supervisor", "/var/lib/supervisor", "/var/log/supervisor")
    assert good("[supervisor]").settings == Settings(os.uname().nodename, *places)


HOME, STATE, TEMPORARY = "/h/.local/state/supervisor", "/s/supervisor", "/tmp/supervisor-54321"
PLACES = [
    # variables                                                 runtime_dir      state_dir; log_dir is "log" in it
    ({"HOME": "/h"}, TEMPORARY, HOME),
    ({"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}, "/r/supervisor", HOME),
    ({"XDG_STATE_HOME": "/s"}, TEMPORARY, STATE),
    ({"HOME": "/h", "XDG_RUNTIME_DIR": "r", "XDG_STATE_HOME": "s"}, TEMPORARY, HOME),
    ({}, TEMPORARY, f"{TEMPORARY}/state/supervisor"),
]


@pytest.mark.parametrize(("variables", "runtime", "state"), PLACES)
def test_settings_of_a_user(good: Good, unprivileged: int, variables: dict[str, str], runtime: str, state: str) -> None:
    good("[supervisor]")
    found = load("c.toml", variables).settings
    assert (found.runtime_dir, found.state_dir, found.log_dir) == (runtime, state, f"{state}/log")


def test_settings_that_are_written(good: Good, place: Path) -> None:
    text = """[supervisor]
name = "vm-7"
freeze = true
stop_grace = "1m"
runtime_dir = "run"
state_dir = "/s"
log_dir = "${WHO}/log"
log_level = "debug"
socket_group = "root"
socket_mode = "0600"
auto_freeze = { failures = 20, within = "1m" }
notify_command = "/bin/sh -c 'mail root'"
"""
    assert good(text).settings == Settings(
        "vm-7", f"{place}/run", "/s", f"{place}/world/log", True, 60.0, "debug", "root", 0o600,
        AutoFreeze(20, 60.0), ("/bin/sh", "-c", "mail root"),
    )  # fmt: skip


def test_a_runtime_directory_from_the_environment_can_be_too_long(good: Good, unprivileged: int) -> None:
    good("[supervisor]")
    with pytest.raises(ConfigErrors) as caught:
        load("c.toml", {"XDG_RUNTIME_DIR": "/" + "x" * 100})
    assert str(caught.value).startswith("c.toml:1: supervisor: runtime_dir: the path of the socket, ")
    good(f'[supervisor]\nruntime_dir = "/{"x" * 90}"')


def test_500_tasks_load_quickly(good: Good, place: Path) -> None:
    """The bound is far above the usual time, so that only an order of magnitude is noticed."""
    text = "".join(f'[task.t{i}]\ncommand = "run {i}"\n' for i in range(500))
    good(text)
    began = time.perf_counter()
    good(text)
    assert time.perf_counter() - began < 0.5
