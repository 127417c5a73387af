"""How a process is attributed to a run."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.immutable import replace
from supervisor.host import mark, procfs
from supervisor.runs import proctree
from supervisor.runs.evidence import Evidence
from supervisor.runs.gauge import Census

OF_NOBODY = 3
"""A mark that no process has."""


@pytest.fixture
def stranger() -> Iterator[procfs.Stat]:
    """A process with no mark, in a session of its own."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield procfs.stat(process.pid)
        process.kill()


def test_a_process_that_was_found_before_is_known(stranger: procfs.Stat) -> None:
    known = frozenset({(stranger.pid, stranger.birth)})
    assert proctree.belongs(proctree.Family(OF_NOBODY, 0, known=known), stranger, orphan=False)


def test_another_process_with_the_same_pid_is_not_known(stranger: procfs.Stat) -> None:
    known = frozenset({(stranger.pid, stranger.birth - 1)})
    family = proctree.Family(OF_NOBODY, 0, known=known)
    assert not proctree.belongs(family, stranger, orphan=False)
    assert stranger.pid not in {one.pid for one in proctree.find(family)}


def test_a_mark_that_may_be_foreign_is_ignored(stranger: procfs.Stat) -> None:
    assert proctree.belongs(proctree.Family(OF_NOBODY, stranger.session), stranger, orphan=False)
    assert not proctree.belongs(proctree.Family(OF_NOBODY, 0), stranger, orphan=False)


def test_each_probe_of_a_run_has_its_own_mark() -> None:
    """The search for one probe must not find the next one. A later supervisor knows both as probes of that run."""
    first, second = (mark.question("web:1/1@abc", "/run", count) for count in (1, 2))
    assert len({first, second, mark.number("web:1/1@abc", "/run")}) == 3
    assert first & ~mark.COUNT == second & ~mark.COUNT == mark.question("web:1/1@abc", "/run")


NOBODY = 65534

RUN = "web:1/1@e"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("ids", "of_nobodys", "of_roots"),
    [
        ((NOBODY, NOBODY, NOBODY), True, False),
        ((NOBODY, 0, 0), False, False),  # a set-user-ID program that a stranger has started with a mark of his
        ((NOBODY, 0, NOBODY), False, False),
        ((0, 0, 0), False, True),
    ],
)
def test_a_mark_counts_only_with_the_user_of_the_task(
    tmp_path: Path, ids: tuple[int, int, int], of_nobodys: bool, of_roots: bool
) -> None:
    """By each user id: memory of another user does not count for a limit, and no stop waits for such a process."""
    family = proctree.family(Evidence(RUN, str(tmp_path)), 0)
    program = ["/usr/bin/python3", "-S", "-c", f"import os; os.setresuid{ids}; print(flush=True); input()"]

    def marked() -> None:
        mark.set_own(family.mark)

    with subprocess.Popen(program, stdin=-1, stdout=-1, start_new_session=True, preexec_fn=marked) as process:
        assert process.stdout.readline() == b"\n"
        one = procfs.stat(process.pid)
        assert procfs.users(one) == set(ids)
        for user, counts in ((NOBODY, of_nobodys), (0, of_roots)):
            of_user = replace(family, users=frozenset({user}))
            assert (process.pid in {other.pid for other in proctree.find(of_user)}) == counts
            run = {"id": RUN, "pid": 1, "user": user, "outcome": {"reason": "exit 0"}}
            members = Census({"web:1": run}, str(tmp_path)).members("web:1")
            assert (process.pid in {other.pid for other in members}) == counts
        process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_orphan_that_we_have_inherited_may_have_another_user() -> None:
    """But not that of another task, which could have set the mark."""
    family = proctree.family(Evidence(RUN, "/run/s"), 0, frozenset({0}), heir=os.getpid())
    command = ["sleep", "1000"]
    with subprocess.Popen(command, user=NOBODY, preexec_fn=lambda: mark.set_own(family.mark)) as orphan:
        assert proctree.belongs(family, procfs.stat(orphan.pid), orphan=True)
        rivals = frozenset({NOBODY})
        assert not proctree.belongs(replace(family, rivals=rivals), procfs.stat(orphan.pid), orphan=True)
        assert not proctree.belongs(replace(family, heir=1), procfs.stat(orphan.pid), orphan=True)
        orphan.kill()
