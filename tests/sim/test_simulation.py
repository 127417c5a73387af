"""Thousands of random histories of the whole parent over a fake machine, in virtual time.

Each seed is a config and a story of about fifty lines:

- processes that end, hang, ignore signals and leave others behind; forks that fail;
- people who ask for everything; edits and reloads, valid or not;
- a wall clock that jumps;
- a supervisor that is killed at any call to its host, or replaces itself by an exec.

The promises are checked after each line (`invariants`). In the end every switch is off, everybody has an answer, and
a shutdown leaves nothing.

The real journal writes to a fake file, which loses and tears records as a machine does. A death of the supervisor alone
tears the write that it was in the middle of. It loses no byte that was written before. A full disk tears a write, too.
Only a power failure takes the end of a file. Then every process is gone, and the records are of another boot. Pids
come round: a run may have the pid of an earlier one that the journal, the history or the service manager still know.

    SIMULATION_SEEDS=20000 pytest tests/sim          more of them
    SIMULATION_FIRST=1234 SIMULATION_SEEDS=1 …       a certain one

A seed that fails prints its history as a story; kept in `tests/core/stories`, it is a test from then on.
"""

import os
from collections.abc import Callable
from random import Random

import pytest
from sim import random_history
from sim.invariants import Invariants
from sim.scenario import Scenario

from supervisor.core import lifecycle
from supervisor.core.instance import become
from supervisor.core.states import EDGES

FIRST = int(os.environ.get("SIMULATION_FIRST", "1"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))
LINES = 60
CHUNKS = 10

pytestmark = pytest.mark.bound(max(300, SEEDS))


def history(seed: int) -> Scenario:
    """Runs one seed; what goes wrong carries the story that leads there."""
    rng = Random(seed)
    drawn = random_history.History(rng)
    story, told = Scenario(), []
    watch = Invariants(story)

    def do(line: str) -> None:
        told.append(line)
        story.do(line)
        watch.check()

    try:
        _chaos(story, drawn, do)
        _calm(story, drawn, do)
        watch.answered()
        watch.nothing_left()
    except Exception as error:
        error.add_note(f"seed {seed}, as a story:\n\n" + "\n".join(told))
        error.add_note("the log:\n  " + "\n  ".join(story.world.log[-15:]))
        raise
    return story


def _chaos(story: Scenario, drawn: random_history.History, do: Callable[[str], None]) -> None:
    for line in [*drawn.lines, "start"]:
        do(line)
    for _ in range(LINES):
        for line in drawn.go_on(alive=story.parent is not None):
            asks = line.startswith(("supctl", "SIG", "touched", "crash"))
            if story.parent is not None or not asks:
                do(line)


def _calm(story: Scenario, drawn: random_history.History, do: Callable[[str], None]) -> None:
    if story.world.executing:  # what it comes to then is the last death
        do("after 1s")
    for line in random_history.ending(drawn.lines):
        if story.parent is not None:
            story.host.fuse = None  # no more deaths
        elif line.startswith("supctl"):  # it was on its way out, and the line before was its last
            do("start")
        if line != "start" or story.parent is None:
            do(line)
    if story.parent is not None and story.parent.context.fleet.shutdown is None:
        do("supctl stop '*'")
        do("after 5m")
        if story.parent is not None:  # a schedule fires on, and `on_give_up` may be a shutdown
            do("SIGTERM")
    do("after 10m")


@pytest.fixture(scope="module")
def walked():
    """The edges of the state table that were walked, by any seed."""
    return set()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_histories(chunk, walked, monkeypatch):
    def noting(old, state, *arguments, **changes):
        walked.add((old.state, state))
        return become(old, state, *arguments, **changes)

    monkeypatch.setattr(lifecycle, "become", noting)
    for seed in range(FIRST + chunk, FIRST + SEEDS, CHUNKS):
        history(seed)


@pytest.mark.skipif(SEEDS < 500, reason="too few seeds to walk every edge")
def test_every_legal_edge_was_walked(walked):
    missing = EDGES - walked
    assert not missing, f"dead permissions: {sorted(missing)}"
