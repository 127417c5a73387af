"""Look at files that may never answer: on a network file system without a server, on a FUSE whose program hangs.

Such a call does not return, and often cannot even be interrupted. So a child process does the work, and notes each path
before it looks there (`looking`). When a look lasts longer than `ANSWER_WITHIN` seconds, the caller ends that child.
The work begins again in another child, which knows the places that do not answer. Each look there fails at once with an
ordinary error.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from supervisor.host.aside import aside
from supervisor.host.log import Log
from supervisor.host.mountpoints import Mounts

ANSWER_WITHIN = 4.0
"""Seconds for one look at a file. A disk that has to spin up, or a busy server, needs less."""

WITHIN = 30.0
"""Seconds for all of the work. They also end work that hangs elsewhere than at a file, as in a user database."""

GLANCE = 0.25
"""Seconds between two looks at the child's position."""

T = TypeVar("T")


class NoAnswerError(OSError):
    """A file system does not answer."""


class _Note:
    """The child's position in shared memory: a number that grows with each look, and the path."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8192)

    def put(self, count: int, path: str) -> None:
        """Note that the child is about to look at this path; "": the look is over."""
        data = os.fsencode(path)[:8000]
        self._shared[:16] = count.to_bytes(8, "little") + len(data).to_bytes(8, "little")
        self._shared[16 : 16 + len(data)] = data

    def get(self) -> tuple[int, str]:
        """Return the number and the path."""
        length = int.from_bytes(self._shared[8:16], "little")
        return int.from_bytes(self._shared[:8], "little"), os.fsdecode(self._shared[16 : 16 + length])


class _Here:
    """The knowledge of this process. Only a child of `patiently` has any; other processes wait without a limit."""

    note: _Note | None = None
    count = 0
    dead: tuple[str, ...] = ()  # places below which nothing answers
    mounts: Mounts | None = None


@contextmanager
def looking(path: str) -> Iterator[None]:
    """Note a path during a call that looks at a file.

    Raises:
        NoAnswerError: its file system has not answered before.
    """
    dead = next((place for place in _Here.dead if _below(path, place)), "")
    if dead:
        raise no_answer(dead)
    if _Here.note is None:
        yield
        return
    _Here.count += 1
    _Here.note.put(_Here.count, path)
    try:
        yield
    finally:
        _Here.note.put(_Here.count, "")


def asked(function: Callable[[str], T], path: str, otherwise: T) -> T:
    """Return a function's answer for a path; `otherwise` when its file system does not answer."""
    try:
        with looking(path):
            return function(path)
    except NoAnswerError:
        return otherwise


def no_answer(place: str) -> NoAnswerError:
    """Return the error in words."""
    return NoAnswerError(f"the file system at {place} does not answer")


def unanswered() -> bool:
    """Whether a file system has failed to answer during the present work."""
    return bool(_Here.dead)


def patiently(function: Callable[..., T], *arguments: object, answer_within: float = ANSWER_WITHIN) -> T:
    """Call a function in a child process, and go on without the file systems that do not answer.

    Raises:
        NoAnswerError: it hangs elsewhere.
        OSError: no child could be made, or the function has failed.
    """
    dead: list[str] = []
    while True:
        note = _Note()
        pid, pipe = aside(_in_child, (function, arguments, note, tuple(dead)))
        try:
            answer, hangs = _answer_of(pipe, note, answer_within)
        finally:
            os.close(pipe)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not hangs:
            os.waitpid(pid, 0)
            value: T = _value(answer)
            return value
        dead.append(_place(hangs))
        text = f"{hangs} has not answered for {answer_within:g} s; going on without the files below {dead[-1]}"
        Log().write("warning", text)


def check_answers(paths: Iterable[str]) -> None:
    """Open each of these files once, in a child process. A caller that reads them itself would wait without a limit.

    Raises:
        NoAnswerError: a file system does not answer.
    """
    mounts = Mounts()
    doubtful = [path for path in paths if mounts.of(os.path.abspath(path))]  # the others are on that of the root
    if doubtful:
        try:
            patiently(_open_each, doubtful)
        except OSError as error:
            raise NoAnswerError(str(error)) from None


def _open_each(paths: list[str]) -> None:
    for path in paths:
        with looking(path), suppress(FileNotFoundError, PermissionError, IsADirectoryError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _in_child(function: Callable[..., T], arguments: tuple[object, ...], note: _Note, dead: tuple[str, ...]) -> T:
    _Here.note, _Here.dead, _Here.count = note, dead, 0
    return function(*arguments)


def _answer_of(pipe: int, note: _Note, answer_within: float) -> tuple[bytes, str]:
    """Return the child's answer, or the path at which it hangs."""
    answer, began = b"", time.monotonic()
    seen, since = note.get(), began
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        if poll.poll(GLANCE * 1000):
            block = os.read(pipe, 1 << 20)
            if not block:
                return answer, ""
            answer += block
            continue
        now, at = time.monotonic(), note.get()
        if at != seen:
            seen, since = at, now
        if at[1] and now - since >= answer_within:
            return b"", at[1]
        if now - began >= WITHIN:
            raise NoAnswerError(f"no answer within {WITHIN:g} s; does the user database, or a network, hang?")


def _value(answer: bytes) -> Any:  # noqa: ANN401 - whatever the function returns
    import pickle  # noqa: PLC0415 - in a child of the supervisor

    value, error = pickle.loads(answer) if answer else (None, "its process ended without an answer")  # noqa: S301
    if error:
        raise OSError(error)
    return value


def _place(path: str) -> str:
    """Return the dead place for a path without answer: its whole file system, but never that of the root directory."""
    mounted = Mounts().of(path)
    return mounted.point if mounted else path


def _below(path: str, place: str) -> bool:
    if path == place or path.startswith(f"{place}/"):
        return True
    _Here.mounts = _Here.mounts or Mounts()
    mounted = _Here.mounts.of(path)
    return mounted is not None and mounted.point == place
