"""A small world for configs: a directory with a few programs in it, which is also the current one."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from supervisor.config import Config, ConfigErrors, load

Files = Mapping[str, str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with `bin/run` (a program), `bin/plain` (no x bit), `bin/dir` (a directory) and `a.py` (a module)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").touch()
    (tmp_path / "bin" / "dir").mkdir(parents=True)
    for name, mode in (("run", 0o755), ("plain", 0o644)):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(mode)
    return tmp_path


@pytest.fixture
def environ(place: Path) -> dict[str, str]:
    """The environment of the supervisor."""
    return {"PATH": f"{place}/bin", "HOME": "/home/me", "WHO": "world", "TWO": "two words", "EMPTY": ""}


@pytest.fixture
def good(place: Path, environ: Mapping[str, str]) -> Callable[..., Config]:
    """Load a text as c.toml, beside other files, and expect a config."""

    def run(text: str, files: Files | None = None, *, beforehand: bool = False) -> Config:
        for name, content in {"c.toml": text, **(files or {})}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(content)
        return load("c.toml", environ, beforehand=beforehand)

    return run


@pytest.fixture
def bad(place: Path, good: Callable[..., Config]) -> Callable[..., list[str]]:
    """Load a text as c.toml, expect errors, and get their lines; the directory is shown as DIR."""

    def run(text: str, files: Files | None = None) -> list[str]:
        with pytest.raises(ConfigErrors) as caught:
            good(text, files)
        assert str(caught.value).splitlines() == [str(error) for error in caught.value.errors]
        assert all(error.file and error.line >= 1 for error in caught.value.errors)
        return [str(error).replace(str(place), "DIR") for error in caught.value.errors]

    return run


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> int:
    """As if a normal user ran the supervisor; the uid."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    return 54321


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that anybody may look into, with some that not anybody may write to."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    for name, mode in (("open", 0o777), ("root", 0o755), ("closed", 0o700)):
        (place / name).mkdir()
        (place / name).chmod(mode)
    (place / "file").touch()
    yield place
    shutil.rmtree(place)
