"""A file is replaced as a whole, or not at all."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.host import files, lookup


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with old content."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    return file


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def longest(size: int) -> Iterator[None]:
    """Let no file grow beyond this size: write(2) takes a part, then fails, as on a disk that becomes full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("sync", [False, True])
def test_the_new_content_replaces_the_old(path: Path, sync: bool) -> None:
    files.replace(str(path), b"new", sync=sync)
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == [path.name]


def test_a_file_is_made(tmp_path: Path) -> None:
    files.replace(str(tmp_path / "file"), b"")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("mask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_the_mode_does_not_depend_on_the_umask(path: Path, mask: int, mode: int) -> None:
    path.chmod(0o666)
    Path(f"{path}.new").touch(0o666)  # a crash has left it
    with umask(mask):
        files.replace(str(path), b"new", mode=mode)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("at", ["write", "rename"])
def test_a_crash_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    if not (pid := os.fork()):
        monkeypatch.setattr(os, at, lambda *_: os._exit(9))
        files.replace(str(path), b"new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert path.read_bytes() == b"old"
    files.replace(str(path), b"newer")
    assert path.read_bytes() == b"newer"
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_file_and_no_new_one(path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with longest(1000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        files.replace(str(path), b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.replace(str(tmp_path / "gone" / "file"), b"new")


def test_the_content_and_the_name_are_synced_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "rename", lambda *names: (done.append("rename"), rename(*names)))
    files.replace(str(path), b"new", sync=True)
    assert done == [f"{path}.new", "rename", str(path.parent)]


def test_the_open_file_is_the_new_one_to_append_to(path: Path) -> None:
    fd = files.replace_open(str(path), b"new")
    os.write(fd, b" and more")
    os.close(fd)
    assert path.read_bytes() == b"new and more"


def test_the_reserve_of_descriptors_serves_a_process_that_has_none(path: Path) -> None:
    lookup.fill()
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        files.replace(str(path), b"new")
    finally:
        for fd in taken:
            os.close(fd)
    assert path.read_bytes() == b"new"
