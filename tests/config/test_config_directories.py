"""The directories of the supervisor are checked as they are made at its start, without making anything."""

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
        ("/proc/s", 'nothing can be made in "/proc", which is the kernel\'s'),
        ("/sys/s/t", 'nothing can be made in "/sys", which is the kernel\'s'),
        ("file", '"DIR/file" is not a directory'),
        ("file/s", '"DIR/file" is not a directory'),
        ("root", ""),
        ("root/s/t", ""),
        ("/dev/shm/supervisor/s", ""),
    ],
)
def test_what_cannot_be_made(open_place: Path, key: str, path: str, hurdle: str) -> None:
    uid = os.geteuid()
    allowed = f"allowed: a directory that uid {uid} can write to, or make"
    shown = path if path.startswith("/") else f"DIR/{path}"
    wrong = f'DIR/c.toml:2: supervisor: {key}: "{shown}" cannot be used: {hurdle}; {allowed}'
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
def test_what_a_user_cannot_make(open_place: Path, key: str, path: str, hurdle: str) -> None:
    wrong = f'DIR/c.toml:2: supervisor: {key}: "DIR/{path}" cannot be used: {hurdle}; '
    wrong += "allowed: a directory that uid 65534 can write to, or make"
    assert errors(f'[supervisor]\n{key} = "{path}"', open_place, NOBODY) == ([wrong] if hurdle else [])


def test_a_file_system_that_is_read_only(open_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)
    found = "\n".join(errors('[supervisor]\nstate_dir = "root/s"', open_place))
    assert 'state_dir: "DIR/root/s" cannot be used: "DIR/root" is on a file system that is read-only; all' in found


@needs_root
def test_a_runtime_directory_of_somebody_else(open_place: Path) -> None:
    os.chown(open_place / "open", NOBODY, -1)
    wrong = 'DIR/c.toml:2: supervisor: runtime_dir: "DIR/open" belongs to uid 65534; allowed: one of our own'
    assert errors('[supervisor]\nruntime_dir = "open"', open_place) == [wrong]
    assert errors('[supervisor]\nruntime_dir = "open"', open_place, NOBODY) == []
    assert errors('[supervisor]\nstate_dir = "open"', open_place) == []


def test_a_reload_goes_on_with_what_it_has(open_place: Path) -> None:
    """Nothing is asked of a disk that has become read-only under a supervisor: its tasks are not to suffer."""
    assert errors('[supervisor]\nstate_dir = "/proc/s"', open_place, beforehand=False) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/proc/foo/bar", '"/proc/foo/bar" cannot be made in "/proc", which is the kernel\'s; allowed: a file'),
        ("/proc/foo", '"/proc/foo" cannot be made in "/proc", which is the kernel\'s; allowed: a file'),
        ("/proc/self/fd/1", ""),
        ("/dev/stderr", ""),
    ],
)
def test_a_log_that_cannot_be_made(
    good: Callable[..., Config], bad: Callable[..., list[str]], path: str, wrong: str
) -> None:
    text = f'[task.web]\ncommand = "run"\nlog = {{ to = "{path}" }}'
    if wrong:
        assert bad(text) == [f'c.toml:3: task "web": log.to: {wrong}']
    else:
        assert good(text).tasks
