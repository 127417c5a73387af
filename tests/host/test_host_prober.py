"""@prober by itself: each question has one answer in time, whatever the others do."""

import json
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from supervisor import probes
from supervisor.core.definition import Probe
from supervisor.core.immutable import plain
from supervisor.helpers import prober
from supervisor.probes.interface import Opened


def ask(probe: Probe, opened: Opened) -> str:
    """What the first word of the target says."""
    what = probe.target[0]
    if what == "hang":  # until it is cut off
        ours, theirs = socket.socketpair()
        with ours, theirs:
            opened(ours)
            return "cut" if ours.recv(1) == b"" else "?"
    if what == "break":
        raise ValueError("nonsense")
    if what == "refuse":
        raise ConnectionRefusedError(111, "Connection refused")
    return what.removeprefix("well")


class Parent:
    """The other end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.count = 0

    def ask(self, what: str, timeout: float = 30.0) -> int:
        self.count += 1
        message = {"number": self.count, "probe": plain(Probe("tcp", (what,), timeout=timeout))}
        self.connection.send(json.dumps(message).encode())
        return self.count

    def heard(self) -> tuple[int, bool | None, str]:
        message = json.loads(self.connection.recv(4096))
        return message["number"], message["ok"], message["text"]


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """A prober with room for one question at a time."""
    monkeypatch.setattr(prober, "MOST", 1)
    monkeypatch.setattr(prober, "IDLE", 0.05)
    monkeypatch.setattr(probes, "load", lambda _: SimpleNamespace(ask=ask))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    before = set(threading.enumerate())
    thread = threading.Thread(target=prober.Prober(theirs).serve)
    thread.start()
    yield Parent(ours)
    ours.close()
    thread.join()
    for other in set(threading.enumerate()) - before:
        other.join(10)
        assert not other.is_alive(), "it waits for ever"
    theirs.close()


def test_what_goes_wrong_costs_its_own_question_only(parent: Parent) -> None:
    for what, answer in (
        ("well", (True, "")),
        ("http 503", (False, "http 503")),
        ("break", (False, "ValueError: nonsense")),
        ("refuse", (False, "connection refused")),
        ("x" * 1000, (False, "x" * 200)),
        ("well", (True, "")),
    ):
        number = parent.ask(what)
        assert parent.heard() == (number, *answer)


def test_one_that_takes_too_long_is_cut_off_and_gives_its_place_to_the_next(parent: Parent) -> None:
    """It is answered once, at its timeout; what found no room in its own time was not asked, and counts for nothing."""
    hangs = parent.ask("hang", 0.3)
    waits = parent.ask("well", 0.1)
    later = parent.ask("well")
    assert parent.heard() == (waits, None, "the prober has too much to do")
    assert parent.heard() == (hangs, False, "no answer within 0.3 s")
    assert parent.heard() == (later, True, "")
