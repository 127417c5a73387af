r"""Make text safe to show on a terminal or in a log.

The text may come from anywhere: process names, arguments, answers to probes. It may contain characters that

- control a terminal (ESC, C1),
- forge a line (newline, U+2028),
- reverse the order of text (bidi),
- are incomplete (bytes that are no UTF-8).

`visible` shows them as escapes: `\x1b`, `\u202e`, `\xe9`.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\\0-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb]"
)
"""C0 and C1 controls, DEL, line separators, marks without width that order or hide text, incomplete characters."""


_SHORT = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}


def visible(text: str, keep: str = "") -> str:
    """Return the text with each such character as an escape, except those in `keep`."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    if code in _SHORT:
        return _SHORT[code]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_visible(text: str) -> str:
    """Return JSON text with such characters as escapes; its value does not change. Newlines between values stay."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
