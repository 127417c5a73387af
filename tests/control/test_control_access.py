"""Only root, the owner and members of socket_group get an answer, whatever the mode of the socket is."""

import grp
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from desk import Desk

from supervisor.control import access
from supervisor.control.access import Peer, may_speak, pidfd_of

ASK = """
import os, sys
sys.path[:0] = {path!r}
from supervisor.control.client import Connection, UnreachableError
os.setgroups({groups!r}); os.setgid({gid}); os.setuid({uid})
try:
    for message in Connection({socket!r}).ask("echo", {{"n": 1}}):
        print(message.get("answer") or message)
except UnreachableError as error:
    print(error)
"""


STRANGER = 4_000_000_000
"""A uid that nobody has."""


def ask(desk: Desk, uid: int, gid: int, groups: list[int]) -> str:
    """What a process of this user is told."""
    text = ASK.format(path=sys.path, groups=groups, gid=gid, uid=uid, socket=desk.path)
    said: list[str] = []

    def run() -> None:
        said.append(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)

    thread = Thread(target=run)
    thread.start()
    desk.until(lambda: not thread.is_alive())
    return said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize(
    ("who", "mode", "says"),
    [
        ("owner", 0o600, "{'n': 1}"),
        ("stranger", 0o600, "no permission"),
        ("stranger", 0o660, "no permission"),
        ("stranger", 0o666, "permission denied: only root"),
        ("primary member", 0o660, "{'n': 1}"),
        ("member", 0o660, "{'n': 1}"),
        ("member", 0o600, "no permission"),
        ("member of many", 0o660, "{'n': 1}"),
    ],
)
def test_who_gets_an_answer(place: Path, who: str, mode: int, says: str) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    team, other = grp.getgrnam("games").gr_gid, grp.getgrnam("nogroup").gr_gid
    uid, gid, groups = {
        "owner": (0, 0, []),
        "stranger": (nobody, other, []),
        "primary member": (nobody, team, []),
        "member": (nobody, other, [team]),
        "member of many": (nobody, other, [*range(3000, 3100), team]),
    }[who]
    desk = Desk(place, group=team).listen(mode)
    try:
        assert says in ask(desk, uid, gid, groups)
        assert os.stat(desk.path).st_gid == team
    finally:
        desk.close()
    assert len(desk.asked) == ("n" in says and "{" in says)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_without_socket_group_only_root_and_the_owner_get_an_answer(place: Path) -> None:
    desk = Desk(place).listen(0o666)
    nobody = pwd.getpwnam("nobody")
    assert "permission denied" in ask(desk, nobody.pw_uid, nobody.pw_gid, [0])
    desk.close()


@pytest.mark.parametrize(
    ("peer", "group", "may"),
    [
        (Peer(1, 0, 0, ()), None, True),
        (Peer(1, STRANGER, 5, ()), None, False),
        (Peer(1, STRANGER, 5, ()), 5, True),
        (Peer(1, STRANGER, 5, (6, 7)), 7, True),
        (Peer(1, STRANGER, 5, (6, 7)), 8, False),
        (Peer(1, STRANGER, 0, (0,)), None, False),
        (Peer(1, STRANGER, 0, (0,)), 0, True),
    ],
)
def test_the_rule(peer: Peer, group: int | None, may: bool) -> None:
    assert may_speak(peer, group) is may
    assert may_speak(Peer(1, os.geteuid(), 1, ()), group)


def test_the_descriptor_of_a_peer_is_that_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        pidfd = pidfd_of(ours)
        if pidfd >= 0:  # from Linux 6.5 on
            assert f"Pid:\t{os.getpid()}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
            assert not os.get_inheritable(pidfd)
            os.close(pidfd)
        monkeypatch.setattr(access, "SO_PEERPIDFD", 9999)  # as an older kernel
        assert pidfd_of(ours) == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        pidfd_of(ours)
