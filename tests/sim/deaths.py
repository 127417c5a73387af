"""Stories in which the supervisor dies at its first, second … call to its host."""

import os
from collections.abc import Callable, Iterator

from sim.scenario import Scenario

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))

EACH = 1 if SEEDS >= 1000 else 3 if SEEDS >= 200 else 10
"""Of the steps at which something may die, or be damaged, each one is tried; in `.ci/run` each third one, and in the
fast tests each tenth one."""


def dying_at_each_call(begin: Callable[[], Scenario], then: str) -> Iterator[Scenario]:
    """Begin a story, and go on with a line, in which the supervisor dies one call later each time; to the last call."""
    calls = 0
    while True:
        calls += EACH
        story = begin()
        story.do(f"crash in {calls} calls")
        story.do(then)
        if story.parent is not None:
            break
        yield story
    assert calls > 50, "the fuse was too short to reach every step"
