"""The next firings of all tasks, as `supctl schedule` computes them, are those that @timekeeper makes."""

from datetime import datetime
from typing import Any

import pytest

from supervisor.core.definition import Timing
from supervisor.helpers.planner import Planner
from supervisor.host.machine_id import host_id
from supervisor.store.firings import Firings, open_to_write
from supervisor.triggers import zone as zones
from supervisor.triggers.upcoming import upcoming
from supervisor.triggers.zone import Zone

NOW = datetime.fromisoformat("2027-03-27T12:00:00+01:00").timestamp()


def task(name: str, *schedule: str, zone: str = "Europe/Berlin", coming: Any = (), **timing: Any) -> dict[str, Any]:
    plain = {"schedule": list(schedule), "every": None, "jitter": 0.0} | timing
    return {"name": name, "zone": zone, "timing": plain, "coming": list(coming)}


def due(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['task']} {one['local'][5:]}" for one in found]


def test_the_firings_of_all_tasks_are_in_order() -> None:
    found = upcoming([task("b", "0 */8 * * *"), task("a", "0 3 * * *", "0 20 * * *")], None, 5, NOW)
    assert due(found) == [
        "b 03-27T16:00:00+01:00", "a 03-27T20:00:00+01:00", "b 03-28T00:00:00+01:00", "a 03-28T03:00:00+02:00",
        "b 03-28T08:00:00+02:00",
    ]  # fmt: skip
    assert found[0] == {
        "task": "b", "due": "2027-03-27T15:00:00.000Z", "local": "2027-03-27T16:00:00+01:00", "trigger": "schedule",
        "id": "b/schedule/1806159600", "start": "2027-03-27T15:00:00.000Z",
    }  # fmt: skip


def test_from_a_moment_on_shows_what_happens_at_a_change() -> None:
    """The skipped time fires at the change; the moment itself counts."""
    since = datetime.fromisoformat("2027-03-28T00:30:00Z").timestamp()
    found = upcoming([task("a", "30 2 * * *"), task("b", "*/30 * * * *")], since, 4, NOW)
    assert due(found) == [
        "b 03-28T01:30:00+01:00", "a 03-28T03:00:00+02:00", "b 03-28T03:00:00+02:00", "b 03-28T03:30:00+02:00"
    ]  # fmt: skip


def test_known_firings_come_first_and_once() -> None:
    """The supervisor knows the next two. A firing by hand is between them."""
    known = upcoming([task("a", "0 * * * *")], None, 2, NOW)
    moments = [datetime.fromisoformat(one["due"]).timestamp() for one in known]
    coming = [[one["id"], "schedule", at, at] for one, at in zip(known, moments, strict=True)]
    by_hand = ["a/manual/1", "manual", moments[0] + 60, moments[0] + 60]
    found = upcoming([task("a", "0 * * * *", coming=[*coming, by_hand])], None, 4, NOW)
    assert [one["id"].split("/")[1] for one in found] == ["schedule", "manual", "schedule", "schedule"]
    assert len({one["id"] for one in found}) == 4
    later = upcoming([task("a", "0 * * * *", coming=coming)], moments[1], 2, NOW)
    assert [one["id"] for one in later] == [known[1]["id"], found[3]["id"]]


def test_an_interval_after_each_run_is_known_only_as_far_as_the_supervisor_knows_it() -> None:
    every = task("p", zone="", every=30.0, coming=[["p/every/5", "every", NOW + 5, NOW + 5]])
    assert [one["id"] for one in upcoming([every], None, 5, NOW)] == ["p/every/5"]
    assert upcoming([every], NOW + 6, 5, NOW) == []


@pytest.mark.parametrize("jitter", [0.0, 600.0])
def test_they_are_those_of_timekeeper(jitter: float, tmp_path: Any) -> None:
    store: Firings = open_to_write(str(tmp_path / "firings.db"), Firings)[0]
    timing = Timing(schedule=("*/7 * * * *", "0 2 * * *"), timezone="Europe/Berlin", jitter=jitter)
    planner = Planner(store, host_id(), lambda level, text: None)
    made = []
    with store:
        planner.define({"a": timing}, NOW)
        while len(made) < 200:
            made += planner.plan(made[-1].due if made else NOW).firings
    found = upcoming([task("a", *timing.schedule, jitter=jitter)], None, 200, NOW)
    stamps = [(one["id"], datetime.fromisoformat(one["start"]).timestamp()) for one in found]
    assert stamps == [(one.id, pytest.approx(one.start, abs=0.001)) for one in made[:200]]
    store.close()


@pytest.mark.parametrize("zone", ["Nowhere/City", "/etc/hostname"])
def test_a_zone_without_data_shows_what_is_known(zone: str) -> None:
    coming = [["a/schedule/1", "schedule", NOW + 5, NOW + 5]]
    (one,) = upcoming([task("a", "0 3 * * *", zone=zone, coming=coming)], None, 5, NOW)
    assert (one["due"], one["local"]) == ("2027-03-27T11:00:05.000Z", None)


def test_after_the_end_of_the_calendar_there_are_no_firings() -> None:
    last = datetime.fromisoformat("9999-12-31T12:00:00Z").timestamp()
    assert upcoming([task("a", "0 0 * * *")], last, 5, NOW) == []


# -- zones ------------------------------------------------------------------------------------------------------------


def test_tasks_share_the_data_of_a_zone() -> None:
    first, second = Zone("Europe/Berlin"), Zone("Europe/Berlin")
    assert first.info is second.info
    assert Zone("UTC").info is not first.info


@pytest.mark.parametrize("name", ["CET-1CEST,M3.5.0,M10.5.0/3", "Nowhere/City", "../../etc/passwd"])
def test_a_zone_that_cannot_be_used_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also in the variable TZ, whose POSIX form has no file."""
    monkeypatch.setenv("TZ", name)
    with pytest.raises((ValueError, OSError)):
        Zone("")


def test_a_machine_without_a_zone_says_once_that_it_takes_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zones, "LOCALTIME", str(tmp_path / "localtime"))
    said: list[str] = []
    store: Firings = open_to_write(str(tmp_path / "firings.db"), Firings)[0]
    planner = Planner(store, "host", lambda level, text: said.append(text))
    tasks = {name: Timing(schedule=("0 3 * * *",)) for name in "abc"}
    with store:
        planner.define({"z": Timing(schedule=("0 3 * * *",), timezone="Europe/Berlin"), "e": Timing(every=5.0)}, NOW)
        assert said == []
        planner.define(tasks, NOW)
        planner.define(tasks, NOW)
    assert said == ["there is no /etc/localtime: schedules without a timezone are in UTC"]
    assert planner.words()["a"]["zone"] == "UTC"
    store.close()
