"""The word that a program is on trial: only of this program, this boot, whole, and once."""

import json
import os
from pathlib import Path

import pytest

from supervisor.host import word
from supervisor.host.handover import Handover


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A word of this program, whose predecessor has a copy."""
    (tmp_path / "program.zip").touch()
    word.leave(Handover({"program": f"{tmp_path}/program.zip", "old": "1.0", "lock": 3}), str(tmp_path), "boot")
    return tmp_path / word.NAME


def test_it_is_told_once(left: Path) -> None:
    found = word.unfinished(str(left.parent), "boot")
    assert found
    assert (found.old, found.lock) == ("1.0", -1)
    assert word.unfinished(str(left.parent), "boot") is None
    assert [path.name for path in left.parent.iterdir()] == ["program.zip"]


def test_another_boot(left: Path) -> None:
    assert word.unfinished(str(left.parent), "another") is None
    assert not left.exists()


@pytest.mark.parametrize("change", [{"on_trial": "9.9.9 00000000"}, {"program": "/no/such/copy"}])
def test_it_is_about_another_program_or_there_is_no_way_back(left: Path, change: dict[str, str]) -> None:
    left.write_text(json.dumps(json.loads(left.read_text()) | change))
    assert word.unfinished(str(left.parent), "boot") is None
    assert not left.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"{}", b"\xff", b'{"boot": "boot"}'])
def test_what_is_torn_does_not_stay(left: Path, content: bytes) -> None:
    left.write_bytes(content)
    assert word.unfinished(str(left.parent), "boot") is None
    assert not left.exists()


def test_it_is_never_half_there(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = left.read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", fails)
    with pytest.raises(OSError, match="No space"):
        word.leave(Handover({}), str(left.parent), "boot")
    assert left.read_bytes() == before


def test_any_change_of_the_sources_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "supervisor"
    (package / "host").mkdir(parents=True)
    (package / "app.py").write_text("one")
    monkeypatch.setattr(word, "__file__", str(package / "host/word.py"))
    found = [word.identity()]
    (package / "app.py").write_text("two")
    found.append(word.identity())
    os.rename(package / "app.py", package / "boot.py")
    found.append(word.identity())
    (package / "boot.pyc").write_text("of no matter")
    assert len(set(found)) == 3
    assert word.identity() == found[-1]
