"""Values: what a frozen dataclass promises, kept by `core.immutable`."""

from __future__ import annotations

import copy
import pickle

import pytest

from supervisor.core.immutable import immutable, names_of, plain, replace


@immutable
class Point:
    """A place."""

    x: int
    y: int = 0

    @property
    def sum(self) -> int:
        return self.x + self.y


@immutable
class Line:
    start: Point
    end: Point | None = None


@immutable
class Other:
    x: int
    y: int = 0


def test_fields_in_order_by_name_and_by_default():
    assert Point(1, 2) == Point(1, y=2) == Point(y=2, x=1)
    assert Point(1) == Point(1, 0) != Point(0, 1)
    assert (Point(1, 2).x, Point(1, 2).y, Point(1, 2).sum) == (1, 2, 3)
    assert names_of(Point) == ("x", "y")
    assert Point.__doc__ == "A place."


@pytest.mark.parametrize(
    "make",
    [Point, lambda: Point(y=1), lambda: Point(1, 2, 3), lambda: Point(1, x=1), lambda: Point(1, z=1)],  # type: ignore[call-arg, misc]
)
def test_wrong_arguments_are_told_with_the_names_of_the_fields(make):
    with pytest.raises(TypeError, match=r"Point (needs x|takes x, y)"):
        make()


def test_other_kinds_are_never_equal():
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != (1, 2)


def test_a_value_cannot_be_changed_and_has_no_room_for_more():
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match="a Point cannot be changed"):
            setattr(Point(1), name, 5)
    with pytest.raises(AttributeError, match="a Point cannot be changed"):
        del Point(1).x  # type: ignore[misc]


def test_replace_makes_another_one():
    old = Point(1, 2)
    assert replace(old, y=5) == Point(1, 5)
    assert old == Point(1, 2)
    with pytest.raises(TypeError, match="Point has no z"):
        replace(old, z=1)


def test_hash_repr_pickle_copy_and_match():
    line = Line(Point(1, 2))
    assert len({line, Line(Point(1, 2)), Line(Point(2, 2))}) == 2
    assert repr(line) == "Line(start=Point(x=1, y=2), end=None)"
    assert pickle.loads(pickle.dumps(line)) == line
    assert copy.deepcopy(line) == line
    match line:
        case Line(Point(x, y), end=None):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")


def test_plain_goes_down():
    assert plain(Line(Point(1, 2))) == {"start": {"x": 1, "y": 2}, "end": None}
