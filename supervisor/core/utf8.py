r"""Handle text from outside that is no UTF-8: in memory, in files and in output.

Arguments, paths, the environment and the names of processes are bytes. In memory a byte that is no UTF-8 is a lone
surrogate, U+DC80 to U+DCFF, as in the `os` module (PEP 383). There are two ways out:

- JSON keeps it as an escape: "caf\udce9". This is ASCII and loses nothing. Each of our readers gets the same text back.
  Requests, answers, events, the journal, the spool and all other files of the runtime directory do so.
- A target that takes only UTF-8, such as a column of SQLite, gets a visible escape: "caf\xe9" (`readable`).
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

_plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_indented = json.JSONEncoder(indent=2, ensure_ascii=False).encode
_indented_escaped = json.JSONEncoder(indent=2, ensure_ascii=True).encode


def json_line(value: object, encoding: str = "utf-8") -> str:
    """Return JSON on one line that can be encoded strictly; characters that the encoding lacks are escaped."""
    text = _plain(value)
    return text if fits(text, encoding) else _escaped(value)


def json_page(value: object, encoding: str = "utf-8") -> str:
    """Return the same as indented JSON, for people."""
    text = _indented(value)
    return text if fits(text, encoding) else _indented_escaped(value)


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return the object of one line or file of JSON; None for any other content."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def fits(text: str, encoding: str = "utf-8") -> bool:
    """Return whether an encoding has every character of a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    r"""Return valid UTF-8: a byte that is no UTF-8 becomes \xe9, any other lone surrogate \ud800."""
    if fits(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
