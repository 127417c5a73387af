"""Accounts: what the journal owes to the history and to whoever follows, also when another version wrote it."""

from supervisor.parent import owed
from supervisor.store.account import TOLD


def test_what_is_not_whole_is_owed_to_nobody():
    whole = dict.fromkeys(TOLD, 0)
    found = [whole, {"run": "web:1/1@e"}, "torn", whole | {"later": 1}]
    assert owed({"fleet accounts": {"accounts": found}}) == [whole, whole | {"later": 1}]
    assert owed({"fleet accounts": {"accounts": "torn"}}) == owed({}) == []
