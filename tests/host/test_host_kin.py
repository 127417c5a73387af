"""By what a process is known to be of a run."""

import subprocess
from collections.abc import Iterator

import pytest

from supervisor.host import kin, mark, procfs

OF_NOBODY = 3
"""A mark that no process has."""


@pytest.fixture
def stranger() -> Iterator[procfs.Stat]:
    """A process with no mark, in a session of its own."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield procfs.stat(process.pid)
        process.kill()


def test_whoever_was_met_before_is_known(stranger: procfs.Stat) -> None:
    known = frozenset({(stranger.pid, stranger.birth)})
    assert kin.belongs(kin.Family(OF_NOBODY, 0, known=known), stranger, orphan=False)


def test_a_pid_that_another_process_has_by_now_is_not(stranger: procfs.Stat) -> None:
    known = frozenset({(stranger.pid, stranger.birth - 1)})
    family = kin.Family(OF_NOBODY, 0, known=known)
    assert not kin.belongs(family, stranger, orphan=False)
    assert stranger.pid not in {one.pid for one in kin.find(family)}


def test_a_number_that_may_be_somebody_elses_counts_for_nothing(stranger: procfs.Stat) -> None:
    assert kin.belongs(kin.Family(OF_NOBODY, stranger.session), stranger, orphan=False)
    assert not kin.belongs(kin.Family(OF_NOBODY, 0), stranger, orphan=False)


def test_each_question_to_a_run_has_a_mark_of_its_own() -> None:
    """What chases the last one must not meet the next; whoever comes up later knows both for questions to that run."""
    first, second = (mark.question("web:1/1@abc", "/run", count) for count in (1, 2))
    assert len({first, second, mark.number("web:1/1@abc", "/run")}) == 3
    assert first & ~mark.COUNT == second & ~mark.COUNT == mark.question("web:1/1@abc", "/run")
