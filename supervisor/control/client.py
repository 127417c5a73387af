"""The client's end of the control socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from supervisor.control import wire

PATIENCE = 2.0
"""Seconds of silence after which a look is taken whether the supervisor is able to answer at all."""


class UnreachableError(Exception):
    """No supervisor can be asked; the text says whether it does not run or does not let us."""


def default_socket() -> str:
    """Where the supervisor of this user is, or else that of the machine."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = f"{runtime}/supervisor" if runtime and os.path.isabs(runtime) else f"/tmp/supervisor-{os.getuid()}"  # noqa: S108 - the contract's place
    system = "/run/supervisor"
    first, second = (system, own) if os.getuid() == 0 else (own, system)
    path = f"{first}/supervisor.sock"
    return path if os.path.exists(path) else f"{second}/supervisor.sock" if _exists(second) else path


def _exists(directory: str) -> bool:
    return os.path.exists(f"{directory}/supervisor.sock")


def _why(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission to talk to the supervisor at {path}: only root, its owner and socket_group may"
    absent = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
    why = "it is not running" if absent else error.strerror or error
    return f"no supervisor at {path}: {why}; start it, or name another socket with --socket or $SUPERVISOR_SOCKET"


class Connection:
    """One connection to a supervisor."""

    def __init__(self, path: str) -> None:
        """Connects.

        Raises:
            UnreachableError: it cannot.
        """
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise UnreachableError(_why(path, error)) from None
        self._received = bytearray()

    def ask(self, verb: str, args: dict[str, Any], every: float | None = None) -> Iterator[dict[str, Any] | None]:
        """Sends a request and yields every line that comes back, up to the last one of the request.

        Args:
            verb: what is asked.
            args: its arguments.
            every: seconds; None is yielded whenever nothing has come for so long.

        Raises:
            UnreachableError: the supervisor hung up first, or is stopped.
        """
        with suppress(BrokenPipeError, ConnectionResetError):  # it has hung up, and may have said why
            self._socket.sendall(wire.encode(verb=verb, args=args))
        self._socket.settimeout(PATIENCE if every is None else every)
        while True:
            try:
                message = self._message()
            except TimeoutError:
                self._must_not_be_stopped()
                if every is not None:
                    yield None
                continue
            except OSError as error:
                raise UnreachableError(f"the supervisor at {self.path} hung up: {error.strerror}") from None
            except wire.MalformedError as error:
                raise UnreachableError(f"what answers at {self.path} is no supervisor: {error}") from None
            yield message
            if "answer" in message or "error" in message:
                return

    def _must_not_be_stopped(self) -> None:
        """A silent supervisor may be at work on what was asked; one that somebody has stopped never answers."""
        pid = int.from_bytes(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
        with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            if file.read().rpartition(b") ")[2][:1] in b"Tt":
                raise UnreachableError(f"the supervisor (pid {pid}) is stopped and does not answer; kill -CONT {pid}")

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def _message(self) -> dict[str, Any]:
        seen = 0
        while (end := self._received.find(b"\n", seen)) < 0:
            seen = len(self._received)
            block = self._socket.recv(1 << 16)
            if not block:
                raise UnreachableError(f"the supervisor at {self.path} hung up before it had answered")
            self._received += block
        message = wire.decode(bytes(self._received[:end]))
        del self._received[: end + 1]
        if not isinstance(message, dict):
            raise wire.MalformedError("not an object")
        return message
