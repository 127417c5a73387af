"""Inputs of firings on disk: only sealed memory files, bounded, and removed when nobody needs them."""

import os
from pathlib import Path

import pytest

from supervisor.helpers.timekeeper import Timekeeper
from supervisor.store import firings, inputs


def memory(content: bytes, *, sealed: bool = True) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    if sealed:
        inputs.seal(fd)
    return fd


def test_it_keeps_the_content(tmp_path: Path) -> None:
    path = inputs.store(memory(b"abc"), str(tmp_path), "job/manual/1")
    assert Path(path).read_bytes() == b"abc"
    assert (tmp_path / "inputs").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["file", "fifo", "unsealed", "socket"])
def test_what_could_block_or_change_is_refused(tmp_path: Path, kind: str) -> None:
    fd = -1
    if kind == "file":
        (tmp_path / "x").write_bytes(b"x")
        fd = os.open(tmp_path / "x", os.O_RDONLY)
    elif kind == "fifo":
        fd = os.pipe()[0]
    elif kind == "unsealed":
        fd = memory(b"x", sealed=False)
    else:
        fd = os.eventfd(0)
    with pytest.raises(OSError, match="sealed memory file"):
        inputs.store(fd, str(tmp_path), "job/manual/1")
    assert not (tmp_path / "inputs").exists()


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LARGEST", 2)
    with pytest.raises(OSError, match="has 3 bytes; allowed: up to 2"):
        inputs.store(memory(b"abc"), str(tmp_path), "a")
    monkeypatch.setattr(inputs, "LARGEST", 3)
    monkeypatch.setattr(inputs, "RESERVE", 1 << 62)
    with pytest.raises(OSError, match="must stay free"):
        inputs.store(memory(b"abc"), str(tmp_path), "a")


def test_sweep_keeps_what_is_needed_and_the_newest_that_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "OVER", 5)
    paths = {
        name: inputs.store(memory(b"abc"), str(tmp_path), name) for name in ("needed", "new", "old", "lost", "way")
    }
    os.utime(paths["lost"], (1000, 1000))
    os.utime(paths["way"], (9999, 9999))
    inputs.sweep(str(tmp_path), [paths["needed"]], [paths["new"], paths["old"], "/gone"], 10_000.0)
    assert sorted(os.listdir(tmp_path / "inputs")) == ["needed", "new", "way"]


def test_timekeeper_also_removes_what_is_left_when_no_firing_with_an_input_has_ended(tmp_path: Path) -> None:
    store, _ = firings.open_to_write(str(tmp_path / "firings.db"), firings.Firings)
    keeper = Timekeeper(store, "boot", "vm", lambda *_: None)
    keeper.sweep(str(tmp_path), 10_000.0)
    left = inputs.store(memory(b"abc"), str(tmp_path), "left")
    os.utime(left, (10_000, 10_000))
    keeper.sweep(str(tmp_path), 10_000.0 + inputs.UNKNOWN - 1)
    assert os.path.exists(left)
    keeper.sweep(str(tmp_path), 10_000.0 + 2 * inputs.UNKNOWN)
    assert not os.path.exists(left)
    store.close()
