"""The connection to @prober, as the parent has it."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from supervisor.core.definition import Probe
from supervisor.core.events import Probed
from supervisor.host.interface import Happened
from supervisor.host.loop import Loop
from supervisor.runs.prober_link import HELPER, ProberLink
from supervisor.runs.question import Question


@pytest.fixture
def prober() -> Iterator[socket.socket]:
    """Our end of a connection to the parent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as made:
        yield made


@pytest.mark.parametrize(
    "packet",
    [b"\xff", b"{", b"[]", b"{}", b'{"number": [], "ok": true, "text": ""}', b'{"number": 1, "ok": 5, "text": ""}',
     b'{"number": 1, "ok": true, "text": null}'],
)  # fmt: skip
def test_an_answer_that_cannot_be_used_is_dropped(tmp_path: Path, prober: socket.socket, packet: bytes) -> None:
    loop = Loop(lambda _level, _text: None)
    link = ProberLink(loop, SimpleNamespace(by_key={HELPER.key: SimpleNamespace(pid=os.getpid(), ended=False)}))
    link.listen(f"{tmp_path}/prober.sock")
    prober.connect(f"{tmp_path}/prober.sock")
    assert loop.wait(None) == []
    launch = SimpleNamespace(key="web:1", run=SimpleNamespace(number=7))
    assert link.ask(Question(1, launch, Probe("tcp", {"tcp": "x"}), 1e9))
    prober.send(packet)
    assert loop.wait(None) == []
    prober.send(json.dumps({"number": 1, "ok": True, "text": ""}).encode())
    assert loop.wait(None) == [Happened("web:1", Probed(7, ok=True, text=""))]
    for one in (link._channel._helper, link._channel._listener):
        assert one
        one.close()
