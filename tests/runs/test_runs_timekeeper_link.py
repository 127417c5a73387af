"""The connection to @timekeeper, as the parent has it: one that does not answer is killed."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from supervisor.host import clock
from supervisor.host.interface import Connected, Heard
from supervisor.host.loop import Loop
from supervisor.runs.timekeeper_link import HELPER, PATIENCE, TimekeeperLink


class Parent:
    """The parent's end, and a socket in the place of @timekeeper."""

    def __init__(self, directory: Path) -> None:
        self.sent: list[int] = []
        self.loop = Loop(lambda _level, _text: None)
        process = SimpleNamespace(pid=os.getpid(), ended=False, send=self.sent.append)
        self.link = TimekeeperLink(self.loop, SimpleNamespace(by_key={HELPER.key: process}))
        self.link.listen(f"{directory}/timekeeper.sock")
        self.helper = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        assert self.link.silence() is None
        self.helper.connect(f"{directory}/timekeeper.sock")
        assert self.loop.wait(None) == [Connected(HELPER.key)]

    def hear(self, **message: object) -> list[object]:
        self.helper.send(json.dumps(message).encode())
        return list(self.loop.wait(None))

    def close(self) -> None:
        self.helper.close()
        for one in (self.link._channel._helper, self.link._channel._listener):
            if one:
                one.close()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path)
    yield made
    made.close()


def test_a_packet_that_is_not_handled_in_time_means_that_it_hangs(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "now", lambda: now)
    assert parent.link.next_deadline() is None
    parent.link.send("clock", [True])
    now += 10
    parent.link.send("free", ["x"])
    assert parent.link.silence() == 10.0
    assert parent.link.next_deadline() == 1000.0 + PATIENCE
    parent.link.postpone(5.0)
    assert parent.link.next_deadline() == 1005.0 + PATIENCE, "nobody had the time of a stall"
    assert parent.hear(handled=[1]) == []
    assert parent.link.next_deadline() == 1015.0 + PATIENCE
    assert parent.link.due(now + PATIENCE) == []
    assert parent.sent == [signal.SIGKILL]
    assert parent.link.next_deadline() is None
    assert parent.link.silence() is None


def test_what_it_says_by_itself_is_no_answer(parent: Parent) -> None:
    parent.link.send("clock", [True])
    assert parent.hear(armed=[]) == [Heard(HELPER.key, {"armed": []})]
    assert parent.link.next_deadline() is not None
    assert parent.hear(handled=[1000000000]) == []
    assert parent.link.silence() == 0.0


def test_a_message_of_many_packets_is_handled_packet_by_packet(parent: Parent) -> None:
    parent.link.send("free", ["x" * 40000] * 3)
    assert parent.hear(handled=[1]) == []
    assert parent.link.next_deadline() is not None
    assert parent.hear(handled=[2]) == []
    assert parent.link.next_deadline() is None
