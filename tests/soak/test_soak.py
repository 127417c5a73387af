"""A soak: mixed faults for a while, and no process of ours grows.

    SOAK_SECONDS=3600 python3 tests/run.py tests/soak -s      by hand; SOAK_SEED is another seed

The supervisor is killed in the first tenth, its helpers until the half is over. Each process is measured when the
first tenth is over, and four times later. Before that the clients hang up, and the same tasks are up each time. Before
the first measurement, the feed of events is filled. After it nothing may grow. With -s a row for each gauge is shown:
each measurement, and the largest value ever.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest
from lab import Lab, wait_for
from soak.faults import Faults, helpers
from soak.gauges import Gauge, measure

SECONDS = float(os.environ.get("SOAK_SECONDS", "75"))
SEED = int(os.environ.get("SOAK_SEED", "1"))

PAUSE = 0.15
"""Seconds between two faults."""

RESTS = (0.1, 0.4, 0.6, 0.8, 1.0)
"""The parts of the time after which everything is measured."""

MAY_GROW = {"memory": 3.0, "descriptors": 36.0, "pipes": 2.0, "watches": 0.0}
"""Growth that is no leak, however long the soak is. The FIFOs of the run before the last one are held, too: two for
each instance that has had a second run by then. The heap grows until it has held the largest crowd of clients."""

STEADY = 1.0
"""MiB by which a process may grow after the second measurement."""

LARGEST = {"supervisor": 22.0, "scribe": 16.0, "prober": 16.0, "spawner": 20.0}
"""MiB that a process may have of its own at any time, also while many clients wait. A spawner that has died is forked
again from the supervisor, and helpers are forked from the spawner: their shared pages are not counted several times."""

pytestmark = pytest.mark.bound(SECONDS + 300)

Row = dict[str, tuple[int, Gauge]]
"""The pid and the gauges of each process, by its name."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab that is stopped at the end, whatever has happened."""
    made = Lab(Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp")))
    yield made
    made.clean()


def test_nothing_grows_under_mixed_faults(lab: Lab) -> None:
    faults = Faults(lab, Random(SEED))
    lab.start(faults.tasks())
    lab.hang_up()  # nobody reads the events
    began = time.monotonic()
    restful, seen = [], []
    for part in RESTS:
        while (share := (time.monotonic() - began) / SECONDS) < part:
            if share < 0.1 and faults.rng.random() < 0.05:
                lab.end(signal.SIGKILL)
                lab.start()
                lab.hang_up()
            faults.one(but=("helper killed",) if share > 0.5 else ())
            seen.append(look(lab))
            pause(PAUSE)
        faults.rest()
        if part == RESTS[0]:
            faults.fill_feed()
        restful.append(least(lab))
    print("\nfaults:", faults.counts)
    grown = [text for name in restful[-1] for text in compare(name, restful, seen)]
    assert not grown, "\n".join(grown)


def look(lab: Lab) -> Row:
    """Measures every process of ours."""
    pids = {"supervisor": lab.pid, **helpers(lab)}
    return {name: (pid, found) for name, pid in pids.items() if (found := measure(pid))}


def least(lab: Lab) -> Row:
    """The least that each holds within two seconds: what crashes comes and goes."""
    rows = []
    for _ in range(20):
        rows.append(look(lab))
        pause(0.1)
    found = {}
    for name, (pid, _) in rows[-1].items():
        gauges = [row[name][1] for row in rows if name in row and row[name][0] == pid]
        found[name] = (
            pid,
            Gauge(**{one.name: min(getattr(gauge, one.name) for gauge in gauges) for one in fields(Gauge)}),
        )
    return found


def pause(seconds: float) -> None:
    """Lets time pass, which is what a soak is about."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, "the pause is over")


def compare(name: str, restful: list[Row], seen: list[Row]) -> list[str]:
    """What is larger than it may be, in words."""
    pid, last = restful[-1][name]
    first = next(row[name][1] for row in restful if row.get(name, (0,))[0] == pid)
    second = next(row[name][1] for row in restful[1:] if row.get(name, (0,))[0] == pid)
    ever = [row[name][1] for row in seen if name in row]
    grown = []
    for what, room in MAY_GROW.items():
        before, now, most = getattr(first, what), getattr(last, what), max(getattr(gauge, what) for gauge in ever)
        rows = [getattr(row[name][1], what) for row in restful if name in row]
        print(f"{name:10} {what:11} {' '.join(f'{one:8.1f}' for one in rows)}, largest {most:8.1f}")
        if now - before > room:
            grown.append(f"{name}: {what} has grown from {before:.1f} to {now:.1f}")
        if what == "memory" and now - second.memory > STEADY:
            grown.append(f"{name}: memory has grown from {second.memory:.1f} to {now:.1f} since the second measurement")
    if (most := max(gauge.own for gauge in ever)) > LARGEST[name]:
        grown.append(f"{name}: {most:.1f} MiB of its own at its largest, more than {LARGEST[name]:g}")
    return grown
