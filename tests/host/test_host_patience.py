"""Work on files that may never answer: here a FIFO without a process at its other end."""

import os
from pathlib import Path

import pytest

from supervisor.host.patience import NoAnswerError, asked, looking, patiently, unanswered

SOON = 0.5
"""Seconds; in place of the seconds that a disk may need."""


def sizes(paths: list[str]) -> list[str]:
    """What can be read of each, or why nothing can."""
    found = []
    for path in paths:
        try:
            with looking(path), open(path) as file:
                found.append(file.read())
        except NoAnswerError as error:
            found.append(str(error))
    return found


@pytest.fixture
def hangs(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def test_the_work_goes_on_without_the_file_that_hangs(
    tmp_path: Path, hangs: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("text")
    file = str(tmp_path / "file")
    why = f"the file system at {hangs} does not answer"
    assert patiently(sizes, [file, hangs, file, hangs], answer_within=SOON) == ["text", why, "text", why]
    assert f"{hangs} has not answered" in capfd.readouterr().err


def test_several_that_hang(tmp_path: Path, hangs: str) -> None:
    other = str(tmp_path / "other")
    os.mkfifo(other)
    assert all("does not answer" in one for one in patiently(sizes, [hangs, other], answer_within=SOON))


def _knows(path: str) -> tuple[bool, bool]:
    return asked(lambda place: bool(open(place)), path, otherwise=False), unanswered()


def test_a_question_about_a_file_that_hangs(hangs: str) -> None:
    assert patiently(_knows, hangs, answer_within=SOON) == (False, True)
    assert patiently(_knows, __file__, answer_within=SOON) == (True, False)


def test_an_error_is_reported_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"No such file or directory: {tmp_path}/none"):
        patiently(os.stat, f"{tmp_path}/none")


def test_without_patience_files_are_read_as_usual(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert sizes([str(tmp_path / "file")]) == ["text"]
    assert not unanswered()
