"""@prober: ask the probe questions that need a network, so that the parent never waits for a network.

It keeps no state and has no schedule: the parent says when to ask. It answers each question within the timeout of that
question, even when the probe has no result. So it may be killed at any time: the parent asks the question again. It
lives as long as its connection to the parent.

A thread asks each question, because the question may block. The prober cuts off in time a server that answers one byte
a second. There are as many threads as questions under way, up to `MOST`. A question that finds no free thread in time
is not asked, and does not count.

    python -m supervisor.helpers.prober SOCKET
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from queue import Empty, SimpleQueue

from supervisor import probes
from supervisor.core.definition import Probe
from supervisor.core.utf8 import json_object
from supervisor.host import clock
from supervisor.host.parts import Loop
from supervisor.probes.interface import InProber

MOST = 64
"""The maximum of threads. Only servers that do not answer hold one for longer than an instant."""

IDLE = 30.0
"""Seconds after which a thread without work ends."""

LATE = 0.5
"""Seconds after a question's timeout. A bad answer that comes later does not count: this process stood still."""

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
        """Note that the connection is open. Cut it at once if the question is already over."""
        self.socket = connection
        if clock.now() >= self.deadline:
            self.cut()

    def cut(self) -> None:
        """Cut the connection: a thread that waits on it wakes up with an error."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class Prober:
    """Receive questions, and send answers."""

    def __init__(self, parent: socket.socket) -> None:
        """`parent` is the connection."""
        self._parent = parent
        self._open: dict[int, Question] = {}
        self._work: SimpleQueue[Question] = SimpleQueue()
        self._idle = 0
        self._threads = 0
        self._crowded = False  # whether the last needed thread could not be started
        self._lock = threading.Lock()
        self._ended = False

    def serve(self) -> None:
        """Serve until the parent closes the connection."""
        loop = Loop()
        loop.watch(self._parent.fileno(), self._heard)
        while not self._ended:
            loop.turn((self,), clock.now)

    def _heard(self, _: int) -> None:
        if packet := self._parent.recv(LONGEST):
            self._receive(packet)
        else:
            self._ended = True

    def next_deadline(self) -> float | None:
        """See `Timed`: the first of the questions has taken too long."""
        return min((question.deadline for question in list(self._open.values())), default=None)

    def _receive(self, packet: bytes) -> None:
        """Take a question. Drop one that cannot be used: it gets no answer, so the parent restarts this process."""
        try:
            self._take(_question(packet))
        except (LookupError, TypeError, ValueError) as error:
            sys.stderr.write(f"@prober: drops a question that it cannot use: {type(error).__name__}: {error}\n")

    def _take(self, question: Question) -> None:
        self._open[question.number] = question
        self._work.put(question)
        with self._lock:
            if self._work.qsize() > self._idle and self._threads < MOST:
                self._begin_thread()

    def _begin_thread(self) -> None:
        """Start one more thread. If that fails, the question waits for another one, and may never be asked."""
        try:
            threading.Thread(target=self._ask_all, daemon=True).start()
        except (RuntimeError, MemoryError):
            self._crowded = True
        else:
            self._threads += 1
            self._crowded = False

    def due(self, now: float) -> None:
        """See `Timed`."""
        for question in [one for one in list(self._open.values()) if one.deadline <= now]:
            if question.begun:
                self._answer(question, ok=False, text=f"no answer within {question.probe.timeout:g} s")
            else:
                why = "@prober cannot start a thread" if self._crowded else "@prober has too many probes at once"
                self._answer(question, ok=None, text=why)
            question.cut()

    def _ask_all(self) -> None:
        """Ask questions until this thread ends."""
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
        """Answer the question, unless it is already answered: the thread or the timeout comes first."""
        if self._open.pop(question.number, None):
            if not ok and clock.now() - question.deadline > LATE:
                ok, text = None, "@prober stood still"
            message = {"number": question.number, "ok": ok, "text": text[:200]}
            with suppress(BrokenPipeError, ConnectionResetError):  # the loop will see that, too
                self._parent.send(json.dumps(message).encode())


def _question(packet: bytes) -> Question:
    """Return the question in a packet. Import first what it needs: that is slow, and must not count for its timeout.

    Raises:
        LookupError, TypeError, ValueError: it cannot be used.
    """
    message = json_object(packet) or {}
    probe = Probe(**message["probe"])
    for name in _kind(probe).needs:
        import_module(name)
    return Question(int(message["number"]), probe, clock.now() + probe.timeout)


def _kind(probe: Probe) -> InProber:
    kind = probes.load(probe.kind)
    assert isinstance(kind, InProber)  # noqa: S101 - the parent sends no other
    return kind


def _ask(question: Question) -> str:
    """Return in words what is wrong, whatever happens."""
    try:
        text = _kind(question.probe).ask(question.probe, question.opened)
    except TimeoutError:
        return f"no answer within {question.probe.timeout:g} s"
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    except Exception as error:  # noqa: BLE001 - a bad answer of a server spoils its own question only
        return f"{type(error).__name__}: {error}"
    return text


def main() -> None:
    """Run until the parent closes the connection, or SIGTERM."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    threading.stack_size(256 * 1024)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(sys.argv[1])
        Prober(connection).serve()
    except OSError as error:
        sys.stderr.write(f"@prober: cannot connect to the supervisor at {sys.argv[1]}: {error.strerror or error}\n")
        sys.exit(1)
    os._exit(0)  # it does not wait for threads that wait for a server


if __name__ == "__main__":
    main()
