"""@prober: puts the questions that need a network, so that the parent never waits for one.

It keeps nothing and plans nothing: the parent says when to ask, and each question is answered within its timeout, by
whatever there is to say. So it may be killed at any time: what was asked is asked again. It lives as long as its
connection to the parent.

A question is asked in a thread, as it may block; a server that answers one byte a second is cut off in time. There are
as many threads as questions under way, up to `MOST`. What finds no room in time was not asked, and counts for nothing.

    python -m supervisor.helpers.prober SOCKET
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
import time  # noqa: TID251 - a helper has a clock of its own
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from supervisor import probes
from supervisor.core.definition import Probe

MOST = 64
"""Threads. Only servers that do not answer hold one for longer than an instant."""

IDLE = 30.0
"""Seconds after which a thread without work ends."""

LONGEST = 1 << 16
"""Bytes of a question."""


class Question:
    """One question that is under way."""

    def __init__(self, number: int, probe: Probe, deadline: float) -> None:
        self.number = number
        self.probe = probe
        self.deadline = deadline
        self.begun = False
        self.socket: socket.socket | None = None

    def opened(self, connection: socket.socket) -> None:
        """It has got through so far; one that is over by now is cut off at once."""
        self.socket = connection
        if time.monotonic() >= self.deadline:
            self.cut()

    def cut(self) -> None:
        """Whoever waits on the connection wakes up with an error."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class Prober:
    """Questions in, answers out."""

    def __init__(self, parent: socket.socket) -> None:
        """`parent` is the connection."""
        self._parent = parent
        self._open: dict[int, Question] = {}
        self._work: SimpleQueue[Question] = SimpleQueue()
        self._idle = 0
        self._threads = 0
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Until the parent hangs up."""
        poll = select.poll()
        poll.register(self._parent, select.POLLIN)
        while True:
            if poll.poll(self._patience()):
                packet = self._parent.recv(LONGEST)
                if not packet:
                    return
                self._take(json.loads(packet))
            self._expire(time.monotonic())

    def _patience(self) -> float | None:
        """Milliseconds until the first of the questions has taken too long."""
        first = min((question.deadline for question in list(self._open.values())), default=None)
        return None if first is None else max(0.0, first - time.monotonic()) * 1000 + 1

    def _take(self, message: dict[str, Any]) -> None:
        probe = Probe(**message["probe"])
        probes.load(probe.kind)  # the first time it takes its time, which is not the question's
        question = Question(message["number"], probe, time.monotonic() + probe.timeout)
        self._open[question.number] = question
        self._work.put(question)
        with self._lock:
            if self._work.qsize() > self._idle and self._threads < MOST:
                self._threads += 1
                threading.Thread(target=self._ask_all, daemon=True).start()

    def _expire(self, now: float) -> None:
        for question in [one for one in list(self._open.values()) if one.deadline <= now]:
            if question.begun:
                self._answer(question, ok=False, text=f"no answer within {question.probe.timeout:g} s")
            else:
                self._answer(question, ok=None, text="the prober has too much to do")
            question.cut()

    def _ask_all(self) -> None:
        """The life of a thread."""
        while True:
            with self._lock:
                self._idle += 1
            try:
                question = self._work.get(timeout=IDLE)
            except Empty:
                with self._lock:
                    self._idle -= 1
                    self._threads -= 1
                return
            with self._lock:
                self._idle -= 1
            if question.number in self._open:
                question.begun = True
                text = _ask(question)
                self._answer(question, ok=not text, text=text)

    def _answer(self, question: Question, *, ok: bool | None, text: str) -> None:
        """Whoever is first answers: the thread, or the end of the time."""
        if self._open.pop(question.number, None):
            message = {"number": question.number, "ok": ok, "text": text[:200]}
            with suppress(BrokenPipeError, ConnectionResetError):  # the loop will see that, too
                self._parent.send(json.dumps(message).encode())


def _ask(question: Question) -> str:
    """What is wrong, in words, whatever happens."""
    try:
        text: str = probes.load(question.probe.kind).ask(question.probe, question.opened)
    except TimeoutError:
        return f"no answer within {question.probe.timeout:g} s"
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    except Exception as error:  # noqa: BLE001 - whatever a server sends, it costs its own question only
        return f"{type(error).__name__}: {error}"
    return text


def main() -> None:
    """Runs until the parent hangs up, or SIGTERM."""
    threading.stack_size(256 * 1024)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(sys.argv[1])
        Prober(connection).serve()
    except OSError as error:
        sys.stderr.write(f"@prober: cannot hear the supervisor at {sys.argv[1]}: {error.strerror or error}\n")
        sys.exit(1)
    os._exit(0)  # threads that wait for a server are not waited for


if __name__ == "__main__":
    main()
