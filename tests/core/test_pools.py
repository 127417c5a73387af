"""The line of a pool: whose turn it is, and what a refusal says."""

import pytest

from supervisor.core.definition import Pool, PoolShare
from supervisor.core.pools import Pools

TABLE = [
    # slots, in use, in the line: "NAME" or "NAME/SLOTS" -> whose turn it is
    (1, "", "", ""),
    (1, "", "a", "a"),
    (1, "", "a b", "a"),
    (2, "", "a b c", "a b"),
    (2, "x", "a b", "a"),
    (2, "x y", "a", ""),
    (2, "x", "big/2 a", ""),
    (2, "", "big/2 a", "big"),
    (3, "", "big/2 a b", "big a"),
    (3, "x", "a big/2 b", "a"),
    (1, "x y", "a", ""),
    (0, "", "a", ""),
]
"""First come, first served: nothing overtakes the first that has no room."""


def share(word: str) -> tuple[str, PoolShare]:
    name, _, slots = word.partition("/")
    return name, PoolShare("gpu", int(slots or 1))


def pools(slots: int, used: str = "", line: str = "") -> Pools:
    made = Pools()
    made.define({"gpu": Pool("gpu", slots)} if slots else {})
    for word in used.split():
        claim, wants = share(word)
        made.take(claim, wants, claim, lasting=False)
    for word in line.split():
        claim, wants = share(word)
        made.join(claim, wants, claim, lasting=False)
    return made


@pytest.mark.parametrize(("slots", "used", "line", "turn"), TABLE)
def test_whose_turn_it_is(slots: int, used: str, line: str, turn: str) -> None:
    made = pools(slots, used, line)
    assert " ".join(made.in_turn("gpu")) == turn
    for word in line.split():
        claim, wants = share(word)
        assert (made.refusal(claim, wants) == "") == (claim in turn.split())


@pytest.mark.parametrize(("slots", "used", "line", "turn"), TABLE)
def test_one_that_is_not_in_the_line_comes_last(slots: int, used: str, line: str, turn: str) -> None:
    made, wants = pools(slots, used, line), PoolShare("gpu")
    refused = made.refusal("new", wants)
    made.join("new", wants, "new", lasting=False)
    assert (refused == "") == ("new" in made.in_turn("gpu"))


@pytest.mark.parametrize(
    ("slots", "used", "line", "wants", "text"),
    [
        (2, "train render", "", "a", "pool gpu: 2 of 2 slots are used by train and render"),
        (1, "train", "", "a", "pool gpu: 1 of 1 slot is used by train"),
        (2, "train", "", "a/2", "2 slots of pool gpu: 1 of 2 slots are used by train"),
        (2, "train", "big/2", "a", "pool gpu: 1 of 2 slots are used by train, and big is before it, which needs 2"),
        (2, "train/2", "b", "a", "pool gpu: 2 of 2 slots are used by train"),
        (5, "a b c d e", "", "x", "pool gpu: 5 of 5 slots are used by a, b, c and 2 more"),
        (1, "a b", "", "x", "pool gpu: 2 of 1 slot is used by a and b"),
        (0, "", "", "x", "pool gpu: 0 of 0 slots are used"),
    ],
)
def test_what_a_refusal_says(slots: int, used: str, line: str, wants: str, text: str) -> None:
    assert pools(slots, used, line).refusal(*share(wants)) == text


def test_slots_come_back_and_leave_the_line_behind_it_in_order() -> None:
    made = pools(1, "x", "a b c")
    made.leave("a")
    made.give_back("x")
    assert made.pop_turns() == ["b"]
    assert made.pop_turns() == [], "nothing has moved since"
    made.take("b", PoolShare("gpu"), "b", lasting=False)
    assert (made.used("gpu"), made.free("gpu"), list(made.in_turn("gpu"))) == (1, 0, [])
    made.give_back("b")
    assert made.pop_turns() == ["c"]


def test_what_joins_twice_keeps_its_place_unless_it_wants_something_else() -> None:
    made = pools(1, "", "a b")
    made.join("a", PoolShare("gpu"), "a", lasting=False)
    assert list(made.in_turn("gpu")) == ["a"]
    made.join("a", PoolShare("gpu", 2), "a", lasting=False)
    assert made.pop_turns() == ["b"]


def test_a_firing_passes_its_place_on_to_its_instance() -> None:
    made = pools(1, "", "firing b")
    made.join("a:1", PoolShare("gpu"), "a", lasting=False)  # behind the others
    made.pass_on("firing", "a:1", "a")
    assert [place.claim for place in made.line("gpu")] == ["a:1", "b"]
    made.pass_on("nothing", "c:1", "c")
    assert [place.claim for place in made.line("gpu")] == ["a:1", "b"]


def test_nothing_is_taken_away_when_slots_get_fewer() -> None:
    made = pools(2, "x y", "a")
    made.define({"gpu": Pool("gpu", 1)})
    assert (made.used("gpu"), made.free("gpu")) == (2, -1)
    made.give_back("x")
    assert made.pop_turns() == []
    made.define({})
    assert made.names() == ["gpu"], "it is gone from the config, and still used"
    made.give_back("y")
    assert made.names() == []
    assert made.pop_turns() == []
    made.define({"gpu": Pool("gpu", 1)})
    assert made.pop_turns() == ["a"]


def test_slots_come_by_themselves_unless_something_lasting_is_before() -> None:
    made, wants = pools(2, "x y", "a"), PoolShare("gpu")
    assert made.ends_by_itself("a", wants)
    assert not made.ends_by_itself("a", PoolShare("gpu", 3))
    made.join("web", wants, "web", lasting=True)
    assert made.ends_by_itself("a", wants), "web is behind it"
    assert made.ends_by_itself("web", wants), "it does not wait for itself"
    made.join("b", wants, "b", lasting=False)
    assert not made.ends_by_itself("b", wants)
    made.take("web", wants, "web", lasting=True)
    assert not made.ends_by_itself("a", wants)


def test_what_takes_other_slots_than_it_waited_for_makes_room() -> None:
    made = pools(2, "x", "big/2 a")
    made.take("big", PoolShare("disk"), "big", lasting=False)
    assert made.pop_turns() == ["a"]
    assert made.used("disk") == 1


def test_what_takes_its_slots_is_no_turn_of_others() -> None:
    made = pools(1000, "", " ".join(f"t{n}" for n in range(1000)))
    for n in range(1000):
        made.take(f"t{n}", PoolShare("gpu"), f"t{n}", lasting=False)
    assert made.turn_changes == 0, "it was the turn of each of them all the time"
    assert made.free("gpu") == 0
