"""The directories of the supervisor are checked as its start creates them, without creating anything."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config import Config, ConfigErrors, load

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")

NOBODY = 65534


def errors(text: str, place: Path, uid: int = 0, *, beforehand: bool = True) -> list[str]:
    """What a check by this user says; what is there does not change by it."""
    config = place / "c.toml"
    config.write_text(text)
    before = sorted(place.rglob("*"))
    if uid:
        os.seteuid(uid)
    try:
        home = str(place / "open")
        load(str(config), {"PATH": os.defpath, "HOME": home, "XDG_RUNTIME_DIR": home}, beforehand=beforehand)
    except ConfigErrors as found:
        return [str(error).replace(str(place), "DIR") for error in found.errors]
    finally:
        if uid:
            os.seteuid(0)
    assert sorted(place.rglob("*")) == before
    return []


KEYS = ["runtime_dir", "state_dir", "log_dir"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("path", "hurdle"),
    [
        ("/proc/s", 'nothing can be created in "/proc", a file system of the kernel'),
        ("/sys/s/t", 'nothing can be created in "/sys", a file system of the kernel'),
        ("file", '"DIR/file" is not a directory'),
        ("file/s", '"DIR/file" is not a directory'),
        ("root", ""),
        ("root/s/t", ""),
        ("/dev/shm/supervisor/s", ""),
    ],
)
def test_a_directory_that_cannot_be_created(open_place: Path, key: str, path: str, hurdle: str) -> None:
    uid = os.geteuid()
    allowed = f"allowed: a directory that uid {uid} can write to, or create"
    shown = path if path.startswith("/") else f"DIR/{path}"
    wrong = f'DIR/c.toml:2: supervisor: {key}: "{shown}" cannot be used: {hurdle}; {allowed} [machine]'
    assert errors(f'[supervisor]\n{key} = "{path}"', open_place) == ([wrong] if hurdle else [])


@needs_root
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("path", "hurdle"),
    [
        ("open/s/t", ""),
        ("root", '"DIR/root" is not writable for uid 65534'),
        ("root/s/t", '"DIR/root" is not writable for uid 65534'),
        ("closed/s", '"DIR/closed" is not writable for uid 65534'),
    ],
)
def test_a_directory_that_a_user_cannot_create(open_place: Path, key: str, path: str, hurdle: str) -> None:
    wrong = f'DIR/c.toml:2: supervisor: {key}: "DIR/{path}" cannot be used: {hurdle}; '
    wrong += "allowed: a directory that uid 65534 can write to, or create [machine]"
    assert errors(f'[supervisor]\n{key} = "{path}"', open_place, NOBODY) == ([wrong] if hurdle else [])


def test_a_file_system_that_is_read_only(open_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)
    found = "\n".join(errors('[supervisor]\nstate_dir = "root/s"', open_place))
    assert 'state_dir: "DIR/root/s" cannot be used: "DIR/root" is on a read-only file system; all' in found


@needs_root
def test_a_runtime_directory_of_another_user(open_place: Path) -> None:
    os.chown(open_place / "open", NOBODY, -1)
    wrong = 'DIR/c.toml:2: supervisor: runtime_dir: "DIR/open" belongs to uid 65534'
    wrong = f"{wrong}; allowed: a directory of uid {os.getuid()} [machine]"
    assert errors('[supervisor]\nruntime_dir = "open"', open_place) == [wrong]
    assert errors('[supervisor]\nruntime_dir = "open"', open_place, NOBODY) == []
    assert errors('[supervisor]\nstate_dir = "open"', open_place) == []


def test_a_reload_does_not_check_existing_directories(open_place: Path) -> None:
    """A disk that became read-only under a supervisor is not checked: its tasks must not suffer."""
    assert errors('[supervisor]\nstate_dir = "/proc/s"', open_place, beforehand=False) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/proc/foo/bar", '"/proc/foo/bar" cannot be created in "/proc", a file system of the kernel; allowed: a file'),
        ("/proc/foo", '"/proc/foo" cannot be created in "/proc", a file system of the kernel; allowed: a file'),
        ("/proc/self/fd/1", ""),
        ("/dev/stderr", ""),
    ],
)
def test_a_log_that_cannot_be_created(
    good: Callable[..., Config], bad: Callable[..., list[str]], path: str, wrong: str
) -> None:
    text = f'[task.web]\ncommand = "run"\nlog = {{ to = "{path}" }}'
    if wrong:
        assert bad(text) == [f'c.toml:3: task "web": log.to: {wrong} [machine]']
    else:
        assert good(text).tasks
