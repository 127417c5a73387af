"""The supervisor is killed at every call to its host around a give-up.

The group is stopped and everything is frozen all the same, once. The consequences of a give-up are recorded no later
than the give-up itself.
"""

import json

import pytest
from sim.invariants import dying
from sim.scenario import Scenario

CONFIG = """
task web give_up=1/60 on_give_up=stop-group
task mail give_up=1/60 on_give_up=freeze
task db
group etl web db
start
at 1s
""".strip().splitlines()

MOST = 60
"""Calls to the host from here to when everything is done: fewer."""


def story_of(calls: int) -> Scenario:
    return dying(*CONFIG, f"crash in {calls} calls", "web exits 1", "mail exits 1", "after 10s", after="after 10s")


@pytest.mark.parametrize("calls", range(1, MOST))
def test_a_give_up_has_its_consequences_wherever_the_supervisor_dies(calls: int):
    story = story_of(calls)
    assert story.instance("web").state == "failed"
    assert story.instance("db").state == "stopped"
    assert [freeze.source for freeze in story.parent.context.fleet.freezes] == ["on_give_up"]
    assert [freeze["source"] for freeze in story.world.disk["freezes"]] == ["on_give_up"]


def test_the_last_call_is_beyond_the_end():
    assert story_of(MOST).lives == 1


def test_a_recorded_give_up_does_not_escalate_again():
    story = story_of(MOST)
    story.do("supctl thaw")
    story.do("supctl start db")
    story.do("crash")
    story.do("start")
    story.do("after 10s")
    events = [json.loads(line)["event"]["event"] for line in story.parent.context.feed.since(None)]
    assert "escalation" not in events
    assert story.instance("db").state == "running"
    assert not story.parent.context.fleet.freezes
