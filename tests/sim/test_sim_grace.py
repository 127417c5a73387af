"""The grace of each run begins when its own signal is sent, however long the earlier ones took."""

import pytest
from sim.fake import FakeHost
from sim.invariants import Invariants
from sim.scenario import Scenario

from supervisor.core.definition import StopPolicy
from supervisor.core.instance import Run

TAKES = 0.05
"""Seconds of one signal, on a very slow machine."""

STORY = """
task web grace=2
task mail grace=2
task db grace=2
web will ignore the stop
mail will ignore the stop
db will ignore the stop
start
at 1s supctl stop web mail db --no-wait
after 5s
""".strip().splitlines()


def test_each_run_has_its_whole_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    send = FakeHost.terminate

    def slow(host: FakeHost, key: str, run: Run, policy: StopPolicy) -> None:
        host.world.time += TAKES
        send(host, key, run, policy)
        host._known[key].grace_ends = host.world.time + policy.grace

    monkeypatch.setattr(FakeHost, "terminate", slow)
    story = Scenario()
    watch = Invariants(story)
    for line in STORY:
        story.do(line)
        watch.check()
    assert {story.instance(name).state for name in ("web", "mail", "db")} == {"stopped"}
    assert story.seconds() > 1 + 2 + 3 * TAKES
