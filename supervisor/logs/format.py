"""How lines are written: in blocks, never line by line where it can be helped.

A block is what one look at a FIFO has brought. It ends with a line, but for a line that is longer than a block, or
that has no end yet: that one is written in pieces. A piece that goes on with a line gets no stamp of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring
from typing import NamedTuple


class Origin(NamedTuple):
    """Where a block comes from."""

    key: str
    run: str
    stream: str


Buffers = list[bytes | memoryview]

Format = Callable[[bytes, int, Origin, str, bool], Buffers]
"""Makes what is written of (block, bytes of it that count, origin, stamp, whether it goes on with a line).

What does not count has no newline in it: it is the begin of a line.
"""


def raw(data: bytes, take: int, _origin: Origin, _stamp: str, _goes_on: bool) -> Buffers:
    """The bytes as they are."""
    return [data if take == len(data) else memoryview(data)[:take]]


def plain(data: bytes, take: int, origin: Origin, stamp: str, goes_on: bool) -> Buffers:
    """Each line after the time and the name of its stream."""
    return prefixed(data, take, f"{stamp} {origin.stream} ".encode(), goes_on=goes_on)


def prefixed(data: bytes, take: int, prefix: bytes, *, goes_on: bool = False) -> Buffers:
    """Each line after a prefix. One replacement over the whole block; what does not count is left out afterwards."""
    body = memoryview(data.replace(b"\n", b"\n" + prefix))
    if data[take - 1] == 0x0A:
        body = body[: len(body) - (len(data) - take) - len(prefix)]
    return [body] if goes_on else [prefix, body]


def as_json(data: bytes, take: int, origin: Origin, stamp: str, _goes_on: bool) -> Buffers:
    r"""One object a line. What is no UTF-8 is shown as \xNN; a piece of a line that goes on has "partial": true."""
    text = data[:take].decode("utf-8", "backslashreplace")
    task, _, index = origin.key.rpartition(":")
    head = f'{{"time":"{stamp}","task":{encode_basestring(task)},"instance":{index},"run":"{origin.run}"'
    head += f',"stream":"{origin.stream}","message":'
    lines = list(map(encode_basestring, text.split("\n")))
    rest = lines.pop()
    made = "".join([f"{head}{line}}}\n" for line in lines])
    if rest != '""':
        made += f'{head}{rest},"partial":true}}\n'
    return [made.encode("utf-8", "backslashreplace")]


FORMATS: dict[str, Format] = {"raw": raw, "plain": plain, "json": as_json}
