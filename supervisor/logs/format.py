"""The formats of log lines. The scribe writes blocks, not single lines, wherever it can.

A block is the result of one look at a FIFO. It usually ends at the end of a line. A line that is longer than a block,
or that has no end yet, is written in pieces. A piece that continues a line gets no time stamp.
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
"""Makes the buffers to write, from (block, bytes to take of it, origin, stamp, whether it continues a line).

The bytes after those to take contain no newline: they are the beginning of a line.
"""


def raw(data: bytes, take: int, _origin: Origin, _stamp: str, _goes_on: bool) -> Buffers:
    """Return the bytes as they are."""
    return [data if take == len(data) else memoryview(data)[:take]]


def plain(data: bytes, take: int, origin: Origin, stamp: str, goes_on: bool) -> Buffers:
    """Put the time and the name of the stream before each line."""
    return prefixed(data, take, f"{stamp} {origin.stream} ".encode(), goes_on=goes_on)


def prefixed(data: bytes, take: int, prefix: bytes, *, goes_on: bool = False) -> Buffers:
    """Put a prefix before each line. Replace once over the whole block, then cut off what is not to be taken."""
    body = memoryview(data.replace(b"\n", b"\n" + prefix))
    if data[take - 1] == 0x0A:
        body = body[: len(body) - (len(data) - take) - len(prefix)]
    return [body] if goes_on else [prefix, body]


def as_json(data: bytes, take: int, origin: Origin, stamp: str, _goes_on: bool) -> Buffers:
    r"""Make a JSON object of each line. Bytes that are not UTF-8 become \xNN. A piece of a line has "partial": true."""
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
