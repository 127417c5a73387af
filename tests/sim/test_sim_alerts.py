"""The supervisor is killed at every call to its host around a give-up. The alert is sent at least once all the same."""

import pytest
from sim.invariants import dying
from sim.scenario import Scenario

CONFIG = """
supervisor notify
task web give_up=1/60
start
at 1s
""".strip().splitlines()

MOST = 40
"""Calls to the host until the message is delivered: fewer."""


def story_of(calls: int) -> Scenario:
    return dying(*CONFIG, f"crash in {calls} calls", "web exits 1", "after 10s", after="after 40s")


@pytest.mark.parametrize("calls", range(1, MOST))
def test_the_alert_is_sent_wherever_the_supervisor_dies(calls: int):
    told = [(one["what"], one["name"]) for message in story_of(calls).world.told for one in message["notices"]]
    assert told in ([("gave-up", "web")], [("gave-up", "web")] * 2)


def test_the_last_call_is_beyond_the_end():
    story = story_of(MOST)
    assert (story.lives, len(story.world.told)) == (1, 1)
