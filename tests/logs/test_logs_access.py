"""Only the owner and members of `socket_group` may read log files, also after rotation and compression."""

import grp
import os
import stat
import sys
from pathlib import Path

import pytest
from paper import Paper, wait_for

TIGHT = ["sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable]
"""As a unit with UMask=0077 starts it."""


def another_group() -> int:
    """One that is not the first of ours, and that we may give a file to."""
    ours = os.getegid()
    known = [one.gr_gid for one in grp.getgrall()] if os.geteuid() == 0 else os.getgroups()
    found = [gid for gid in known if gid != ours and _name(gid)]
    if not found:
        pytest.skip("there is no other group here that we may use")
    return found[-1]


def _name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def access(path: Path) -> tuple[int, int]:
    found = path.stat()
    return stat.S_IMODE(found.st_mode), found.st_gid


@pytest.mark.parametrize("command", [None, TIGHT], ids=["usual umask", "tight umask"])
def test_only_the_owner_and_the_group_may_read(paper: Paper, command: list[str] | None):
    gid = another_group()
    paper.manifest(group=_name(gid), format="raw", max_size=50_000, keep=3)
    paper.scribe(command=command)
    paper.write("web:1.1@e.out", b"a line of a task\n" * 6000).join()
    names = [".web.log.runs", "web.log", "web.log.1.gz", "web.log.2.gz"]
    wait_for(lambda: sorted(os.listdir(paper.log)) == names)
    assert {name: access(paper.log / name) for name in names} == dict.fromkeys(names, (0o640, gid))


def test_without_socket_group_files_have_the_group_of_the_supervisor(paper: Paper):
    paper.manifest(format="raw")
    paper.scribe()
    paper.write("web:1.1@e.out", b"a line\n").join()
    wait_for(lambda: paper.read("web.log"))
    assert access(paper.log / "web.log") == (0o640, os.getegid())


def test_a_group_set_by_a_reload_may_read_existing_files(paper: Paper):
    gid = another_group()
    paper.manifest(format="raw")
    paper.scribe()
    with paper.open("web:1.1@e.out") as out:
        out.write(b"before\n")
        wait_for(lambda: paper.read("web.log"))
        paper.manifest(format="raw", group=_name(gid))

        def given() -> bool:
            out.write(b"after\n")
            return access(paper.log / "web.log") == (0o640, gid)

        wait_for(given)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_member_of_the_group_can_read_and_another_user_cannot(paper: Paper):
    gid = another_group()
    for place in (paper.log, *list(paper.log.parents)[:2]):
        place.chmod(0o755)
    paper.manifest(format="raw", group=_name(gid))
    paper.scribe()
    paper.write("web:1.1@e.out", b"a line\n").join()
    wait_for(lambda: paper.read("web.log") == b"a line\n")
    path = str(paper.log / "web.log")
    assert _reads(path, gid)
    assert not _reads(path, 65534 if gid != 65534 else 65533)


def _reads(path: str, gid: int) -> bool:
    """Whether a user that is nobody, but of this group, can."""
    directory = os.open(os.path.dirname(path), os.O_PATH)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(65534, 65534, 65534)
            os.close(os.open(os.path.basename(path), os.O_RDONLY, dir_fd=directory))
            code = 0
        finally:
            os._exit(code)
    os.close(directory)
    return os.waitpid(pid, 0)[1] == 0
