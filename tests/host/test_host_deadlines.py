"""Whatever has a deadline says it in one way, and is called in one way."""

from supervisor.host.deadlines import Alarm, first, nearest, overdue


def test_the_first_of_some_moments() -> None:
    assert first((3.0, None, 2.0)) == 2.0
    assert first((None, None)) is None
    assert first(()) is None


def test_an_alarm_rings_once_unless_it_is_set_again() -> None:
    rung: list[float] = []
    alarm = Alarm(rung.append)
    assert alarm.next_deadline() is None
    alarm.no_later_than(5.0)
    alarm.no_later_than(7.0)
    assert alarm.next_deadline() == 5.0
    alarm.due(6.0)
    assert rung == [6.0]
    assert alarm.next_deadline() is None


def test_an_alarm_may_set_itself() -> None:
    def ring(now: float) -> None:
        alarm.at = now + 1.0

    alarm = Alarm(ring, 0.0)
    alarm.due(2.0)
    assert alarm.next_deadline() == 3.0


def test_only_those_are_called_whose_deadline_is_over() -> None:
    rung: list[str] = []
    parts = [Alarm(lambda _, name=name: rung.append(name), at) for name, at in (("a", 1.0), ("b", None), ("c", 2.0))]
    assert nearest(parts) == 1.0
    for part in overdue(parts, 1.5):
        part.due(1.5)
    assert rung == ["a"]
    assert nearest(parts) == 2.0


def test_what_an_earlier_part_has_settled_is_not_called_any_more() -> None:
    rung: list[str] = []
    later = Alarm(lambda _: rung.append("later"), 1.0)

    def settle(_: float) -> None:
        later.at = None

    for part in overdue((Alarm(settle, 1.0), later), 1.0):
        part.due(1.0)
    assert rung == []
