"""Text for people cannot control their terminal, forge a line or fail to be encoded. Harmless text stays as it is."""

import json

import pytest

from supervisor.core.text import json_visible, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web: exit 1", "web: exit 1"),
        ("größe 10\u00a0000 日本 👩\u200d💻", "größe 10\u00a0000 日本 👩\u200d💻"),
        ("\x1b]0;root\x07\x1b[8m", "\\x1b]0;root\\x07\\x1b[8m"),
        ("\x9b31m\x85\x7f\0", "\\x9b31m\\x85\\x7f\\x00"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u2028\u202egpj.exe\u2066\ufeff", "\\u2028\\u202egpj.exe\\u2066\\ufeff"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
    ],
    ids=ascii,
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    shown.encode()


def test_a_tab_may_stay() -> None:
    assert visible("a\tb\x1b", keep="\t") == "a\tb\\x1b"


def test_json_stays_the_same_json() -> None:
    value = {"a\x85": ["\x1b[0m", "\u202e", "caf\udce9", "ü\n"], "b": None}
    told = json_visible(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(told) == value
    assert told.replace("\n", "").encode().decode().isprintable()
