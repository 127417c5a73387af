"""Cut a message of many items into packets that a socket takes whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LARGEST = 1 << 16
"""Bytes of a packet of several items, about."""

LONGEST = 1 << 18
"""Bytes of the longest packet, which has one item. A socket takes it if its SO_SNDBUF is as large (socket(7))."""


def packets(key: str, items: list[Any] | dict[str, Any]) -> Iterator[bytes]:
    """Yield the packets of a message: JSON objects, each with some of the items under the key.

    `first` and `last` mark the ends of the message. A message without items is one packet.
    """
    named = isinstance(items, dict)
    pairs = list(items.items()) if isinstance(items, dict) else [("", item) for item in items]
    begin = 0
    while True:
        end, size = begin, 0
        while end < len(pairs) and (end == begin or size < LARGEST):
            size += len(json.dumps(pairs[end]))
            end += 1
        some = pairs[begin:end]
        content = dict(some) if named else [item for _, item in some]
        yield json.dumps({key: content, "first": begin == 0, "last": end == len(pairs)}).encode()
        begin = end
        if begin >= len(pairs):
            return
