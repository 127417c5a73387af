"""The queue of alerts for `notify_command`: what is sent when, what is dropped, what is recorded, and the texts."""

import pytest

from supervisor.core.alert_queue import KEPT, PAUSE, TRIES, AlertQueue
from supervisor.core.alerts import message
from supervisor.core.definition import AutoFreeze
from supervisor.core.duration import spoken
from supervisor.core.storm import NAMED, Storm


def notice(number: int, what: str = "failed") -> dict[str, object]:
    return {
        "id": f"l.{number}",
        "at": "2026-11-21T14:02:11.000Z",
        "what": what,
        "name": f"t{number}",
        "task": "t",
        "why": "exit 1",
    }


def names(taken: tuple[list[dict[str, object]], dict[str, int]] | None) -> list[object]:
    return [one["name"] for one in taken[0]] if taken else []


def test_the_first_alert_is_sent_at_once_and_later_ones_together():
    box = AlertQueue()
    box.put(notice(1))
    assert names(box.take(100.0, hurry=False)) == ["t1"]
    box.put(notice(2))
    assert box.take(200.0, hurry=False) is None, "one at a time"
    assert box.next_deadline(hurry=False) is None
    box.done(ok=True, hurry=False)
    box.put(notice(3))
    assert box.next_deadline(hurry=False) == 100 + PAUSE
    assert box.take(100 + PAUSE - 1, hurry=False) is None
    assert names(box.take(100 + PAUSE, hurry=False)) == ["t2", "t3"]
    box.done(ok=True, hurry=False)
    assert not box.busy


def test_a_shutdown_sends_alerts_without_a_pause_one_message_at_a_time():
    box = AlertQueue()
    box.put(notice(1))
    box.take(100.0, hurry=True)
    box.put(notice(2))
    assert box.take(100.0, hurry=True) is None
    box.done(ok=False, hurry=True)
    assert names(box.take(100.1, hurry=True)) == ["t2"], "and no second try"


def test_alerts_beyond_the_bound_are_dropped_and_counted():
    box = AlertQueue()
    for number in range(KEPT + 3):
        box.put(notice(number, "failed" if number else "gave-up"))
    taken = box.take(0.0, hurry=False)
    assert names(taken)[0] == "t3"
    assert taken[1] == {"gave-up": 1, "failed": 2}
    box.done(ok=True, hurry=False)
    box.put(notice(1))
    assert box.take(1e9, hurry=False)[1] == {}


def test_a_failed_message_is_retried_with_back_off_and_then_dropped():
    box, now, waits = AlertQueue(), 0.0, []
    box.put(notice(0))
    for number in range(1, TRIES + 1):
        taken = box.take(now, hurry=False)
        assert names(taken) == [f"t{one}" for one in range(number)]
        box.done(ok=False, hurry=False)
        if number < TRIES:
            box.put(notice(number))
            waits.append(box.next_deadline(hurry=False) - now)
            now = box.next_deadline(hurry=False)
    assert waits == [30, 60, 120]
    assert not box.busy
    box.put(notice(9))
    assert box.take(1e9, hurry=False)[1] == {"failed": TRIES}


def test_a_full_queue_stays_bounded_when_a_message_comes_back():
    box = AlertQueue()
    for number in range(KEPT):
        box.put(notice(number))
    box.take(0.0, hurry=False)
    for number in range(10):
        box.put(notice(100 + number))
    box.done(ok=False, hurry=False)
    taken = box.take(1e9, hurry=False)
    assert (len(taken[0]), taken[0][-1]["name"], taken[1]) == (KEPT, "t109", {"failed": 10})


def test_every_undelivered_alert_is_recorded():
    box, heir = AlertQueue(), AlertQueue()
    box.put(notice(1))
    box.take(0.0, hurry=False)
    box.put(notice(2))
    assert box.changed
    heir.put(notice(3))
    heir.restore(box.records())
    assert not box.changed
    assert names(heir.take(0.0, hurry=False)) == ["t1", "t2", "t3"]
    box.clear()
    assert (box.changed, box.records()) == (True, {"notices": [], "suppressed": {}})


def test_the_message():
    told = message("vm-7", [notice(1), notice(2, "gave-up"), notice(3, "recovered")], {"failed": 2, "frozen": 1})
    assert told["subject"] == "vm-7: t2 gave up, and 2 more"
    assert told["text"] == (
        "2026-11-21T14:02:11.000Z t1 failed: exit 1\n"
        "2026-11-21T14:02:11.000Z t2 gave up: exit 1\n"
        "2026-11-21T14:02:11.000Z t3 recovered: exit 1\n"
        "3 earlier alerts were not sent: 2 failed, 1 frozen\n"
    )
    assert [one["id"] for one in told["notices"]] == ["l.1", "l.2", "l.3"]
    assert message("vm-7", [notice(1)], {})["subject"] == "vm-7: t1 failed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (60, "1m"), (90, "1m30s"), (5400, "1h30m"), (172800, "2d"), (1.5, "1s500ms")],
)
def test_durations_as_the_config_writes_them(seconds: float, text: str):
    assert spoken(seconds) == text


def test_a_storm_names_the_tasks_that_failed_most():
    storm = Storm()
    storm.failed("web", 0.0)
    assert storm.reason() == "", "off by default"
    storm.policy = AutoFreeze(NAMED + 3, 60.0)
    for number in range(NAMED + 1):
        storm.failed(f"t{number}", float(number))
    assert storm.reason() == ""
    storm.failed("t3", 7.0)
    storm.failed("t5", 8.0)
    assert storm.reason() == "auto_freeze: 8 failures within 1m: t3 2, t5 2, t0 1, t1 1, t2 1, others 1"
    storm.failed("t0", 61.5)
    assert storm.reason() == "", "those of t0 and t1 are too long ago"
    storm.clear()
    storm.policy = AutoFreeze(1, 1.0)
    storm.failed("web", 100.0)
    assert storm.reason() == "auto_freeze: 1 failure within 1s: web 1"
