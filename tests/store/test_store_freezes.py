"""The freezes on disk: replaced as a whole, and never guessed."""

import os
from pathlib import Path

import pytest

from supervisor.store import freezes

ONE = {"scope": "@etl", "by": "root", "since": "2026-11-21T14:02:11.123Z", "until": None, "reason": "caf\udce9"}


def test_saved_freezes_are_loaded(tmp_path: Path) -> None:
    assert freezes.load(str(tmp_path)) == freezes.NOTHING
    for count, entries in enumerate(([ONE], [ONE, {**ONE, "scope": ""}], [])):
        kept = {"count": count, "freezes": entries}
        freezes.save(str(tmp_path), kept)
        assert freezes.load(str(tmp_path)) == kept
    assert os.listdir(tmp_path) == ["freezes.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "{}", "[1]", "\0", '{"count": 1, "freezes": [{"scope": ""}]}', '{"count": null, "freezes": []}', "null"],
)
def test_foreign_content_is_an_error_with_the_file_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "freezes.json").write_text(content)
    with pytest.raises(ValueError, match=r"freezes\.json"):
        freezes.load(str(tmp_path))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "freezes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"freezes\.json"):
        freezes.load(str(tmp_path))


def test_a_save_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"count": 1, "freezes": [ONE]}
    freezes.save(str(tmp_path), kept)

    def fails(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        freezes.save(str(tmp_path), freezes.NOTHING)
    assert freezes.load(str(tmp_path)) == kept


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        freezes.save(str(tmp_path / "missing"), freezes.NOTHING)
