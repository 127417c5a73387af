"""@prober alone: each probe has one answer in time, whatever the others do."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from supervisor import probes
from supervisor.core.definition import Probe
from supervisor.core.immutable import plain
from supervisor.helpers import prober
from supervisor.probes.interface import InProber, Opened


def ask(probe: Probe, opened: Opened) -> str:
    """What the first word of the target says."""
    what = probe.values["tcp"]
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
        message = {"number": self.count, "probe": plain(Probe("tcp", {"tcp": what}, timeout=timeout))}
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
    monkeypatch.setattr(probes, "load", lambda _: InProber("", (), ask))
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


def test_an_error_affects_only_its_own_probe(parent: Parent) -> None:
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


@pytest.mark.parametrize(
    "packet", [b"\xff", b"{", b"[]", b'{"number": 1}', b'{"number": 1, "probe": {"later": 1}}', b"{" * 10_000]
)
def test_an_invalid_question_is_dropped(parent: Parent, packet: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    parent.connection.send(packet)
    number = parent.ask("well")
    assert parent.heard() == (number, True, "")
    assert capsys.readouterr().err.startswith("@prober: drops a question that it cannot use: ")


def test_a_slow_probe_ends_at_its_timeout_and_makes_room(parent: Parent) -> None:
    """It is answered once, at its timeout. A probe that had no room in its time was not sent, and does not count."""
    hangs = parent.ask("hang", 0.3)
    waits = parent.ask("well", 0.1)
    later = parent.ask("well")
    assert parent.heard() == (waits, None, "@prober has too many probes at once")
    assert parent.heard() == (hangs, False, "no answer within 0.3 s")
    assert parent.heard() == (later, True, "")


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_probe_without_a_thread_is_not_sent_and_the_next_one_is(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        number = parent.ask("well", 0.1)
        assert parent.heard() == (number, None, "@prober cannot start a thread")
    number = parent.ask("well")
    assert parent.heard() == (number, True, "")
