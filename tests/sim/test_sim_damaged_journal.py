"""No record of the journal stops a supervisor: whatever value is damaged, the next one starts and works.

Otherwise such a journal would stop each successor, until a person removes it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sim.deaths import EACH
from sim.scenario import Scenario

STORY = r"""
task web give_up=5/60 replicas=2
task slow
task mail
task sick
task job kind=triggered
task again kind=triggered retry=3
task tell kind=triggered on=sick.failed
group etl web slow
supervisor notify
start
at 1s
slow will leave 2
supctl run job -- a
supctl freeze mail --reason deploy --for 1h
supctl scale web=3
web drops 1000 bytes
supctl stop slow --no-wait
supctl run again
after 1s
firings full
again exits 1
sick exits 1
after 1s
""".strip().splitlines()

JUNK: tuple[Any, ...] = (None, "x", -1, 1e300, float("nan"), True, [], ["x"], {}, {"x": 1}, "\udce9\0\x1b", [[[]]])


def story() -> Scenario:
    made = Scenario()
    for line in STORY:
        made.do(line)
    return made


def records(journal: bytes) -> list[Any]:
    return [json.loads(line) for line in journal.splitlines()]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside of another one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*above, key)
        yield from places(one, (*above, key))


def changed(value: Any, place: tuple[Any, ...], junk: Any) -> Any:
    """A copy with something else at this place."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = junk
    return copy


def come_up(lines: list[Any]) -> Scenario:
    made = story()
    made.do("crash")
    made.world.journal = ("\n".join(map(json.dumps, lines)) + "\n").encode()
    for line in ("start", "after 5s", "supctl status", "supctl thaw mail", "supctl restart web --no-wait", "after 90s"):
        made.do(line)
    return made


GOOD = records(story().world.journal or b"")


@pytest.mark.parametrize("number", range(1, len(GOOD)), ids=lambda n: GOOD[n].get("instance") or GOOD[n].get("fleet"))
def test_no_value_of_the_journal_stops_the_next_supervisor(number: int) -> None:
    ways = list(places(GOOD[number]))
    assert ways
    for turn, place in list(enumerate(ways))[number % EACH :: EACH]:
        junk = JUNK[(turn + number) % len(JUNK)]
        try:
            come_up([*GOOD[:number], changed(GOOD[number], place, junk), *GOOD[number + 1 :]])
        except Exception as error:
            raise AssertionError(f"{GOOD[number]}: {place} = {junk!r}: {error!r}") from error
