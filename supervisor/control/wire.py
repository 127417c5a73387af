r"""The protocol of the control socket: JSON lines over a Unix stream socket, in both directions.

A request is one line:

    {"v": 1, "verb": "stop", "args": {"names": ["web"]}}

Any number of lines may come back. The last line of a request has `answer` or `error`:

    {"v": 1, "progress": {"name": "web", "state": "stopping", "why": "stop requested by root"}}
    {"v": 1, "progress": {"name": "web", "outcome": "stopped", "ok": true, "text": "stopped", "run": null}}
    {"v": 1, "answer": {"instances": [{"name": "web", "outcome": "stopped", "ok": true, "text": "stopped"}]}}
    {"v": 1, "error": "no task 'wbe'; did you mean 'web'?", "exit": 4}

`events -f` sends lines with `event`, and no last line. `exit` is the exit code of the contract's section 7. A
connection may carry several requests, one after the other. Try it:

    echo '{"v": 1, "verb": "status"}' | socat - UNIX-CONNECT:/run/supervisor/supervisor.sock

The verbs and their `args` are those of `supctl`; `supctl VERB --json` prints `answer` as it is.
"""

from __future__ import annotations

import json

from supervisor.core.utf8 import json_line

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

VERSION = 1

MAX_REQUEST = 256 * 1024
"""The most bytes of one request. Only `supctl run NAME -- ARG…` gets long."""


class MalformedError(Exception):
    """A received line is not valid. The text says why."""


def encode(**fields: object) -> bytes:
    """Return one line of an answer or a request.

    The line is UTF-8. Bytes that are not UTF-8, as in the words of a command line, are escaped (see `core.utf8`).
    """
    return json_line({"v": VERSION, **fields}).encode() + b"\n"


def decode(line: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return what `encode` wrote. Bytes that are not UTF-8 are kept, so any client may send any file name.

    Raises:
        MalformedError: it is not JSON, or has half characters, which no text and no command line can hold.
    """
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"))
        if b"\\u" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except RecursionError:
        raise MalformedError("not JSON that can be read: nested too deep") from None
    except ValueError as error:
        raise MalformedError(f"not JSON: {error}") from None
    return value


def decode_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the verb and its arguments.

    Raises:
        MalformedError: it is not a request of this version.
    """
    request = decode(line)
    if not isinstance(request, dict):
        raise MalformedError("a request is a JSON object")
    if request.get("v") != VERSION:
        raise MalformedError(f"version {request.get('v')!r} is not known; this supervisor speaks version {VERSION}")
    verb, args = request.get("verb"), request.get("args", {})
    if not isinstance(verb, str) or not isinstance(args, dict):
        raise MalformedError('a request has a "verb" (a string) and may have "args" (an object)')
    return verb, args
