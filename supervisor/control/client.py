"""The client's end of the control socket."""

from __future__ import annotations

import _socket  # `socket` also makes enums of all constants, which takes supctl two milliseconds
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from supervisor.control import wire
from supervisor.store import layout

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 2.0
"""Seconds of silence after which the client checks whether the supervisor can answer at all."""


class UnreachableError(Exception):
    """No supervisor can be asked. The text says whether it does not run or denies access."""


def default_socket() -> str:
    """Return the socket of this user's supervisor, or else that of the machine. Root has the reverse order."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = f"{runtime}/supervisor" if runtime and os.path.isabs(runtime) else f"/tmp/supervisor-{os.getuid()}"  # noqa: S108 - the contract's place
    system = "/run/supervisor"
    first, second = (system, own) if os.getuid() == 0 else (own, system)
    paths = layout.control_socket(first), layout.control_socket(second)
    return next(filter(os.path.exists, paths), paths[0])


def _why(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission to talk to the supervisor at {path}: only root, its owner and socket_group may"
    absent = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
    why = "it is not running" if absent else error.strerror or error
    return f"no supervisor at {path}: {why}; start it, or name another socket with --socket or $SUPERVISOR_SOCKET"


class Connection:
    """One connection to a supervisor."""

    def __init__(self, path: str) -> None:
        """Connect.

        Raises:
            UnreachableError: the connection fails.
        """
        self.path = path
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise UnreachableError(_why(path, error)) from None
        self._received = bytearray()
        self._attached = -1

    def attach(self, fd: int) -> None:
        """Send a descriptor with the next request."""
        self._attached = fd

    def ask(self, verb: str, args: dict[str, Any], every: float | None = None) -> Iterator[dict[str, Any] | None]:
        """Send a request. Yield every line that comes back, up to the last line of the request.

        Args:
            verb: the verb of the request.
            args: its arguments.
            every: seconds; after so much silence, None is yielded.

        Raises:
            UnreachableError: the supervisor closed the connection first, or is stopped.
        """
        with suppress(
            BrokenPipeError, ConnectionResetError
        ):  # the server has closed the connection, and may have sent the reason
            line = wire.encode(verb=verb, args=args)
            if self._attached >= 0:
                rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, self._attached.to_bytes(4, sys.byteorder))
                line = line[self._socket.sendmsg([line], [rights]) :]
                self._attached = -1
            self._socket.sendall(line)
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
                raise UnreachableError(
                    f"the supervisor at {self.path} closed the connection: {error.strerror}"
                ) from None
            except wire.MalformedError as error:
                raise UnreachableError(f"no supervisor answers at {self.path}: {error}") from None
            yield message
            if "answer" in message or "error" in message:
                return

    @property
    def pid(self) -> int:
        """Return the pid of the listener, from the kernel (SO_PEERCRED, unix(7)); 0: in another pid namespace."""
        return int.from_bytes(self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 4), sys.byteorder)

    def _must_not_be_stopped(self) -> None:
        """Raise if the supervisor is stopped by a signal. A silent one may be busy, but a stopped one never answers."""
        with suppress(OSError), open(f"/proc/{self.pid}/stat", "rb") as file:
            if file.read().rpartition(b") ")[2][:1] in b"Tt":
                resume = f"kill -CONT {self.pid}"
                raise UnreachableError(f"the supervisor (pid {self.pid}) is stopped and does not answer; {resume}")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _message(self) -> dict[str, Any]:
        seen = 0
        while (end := self._received.find(b"\n", seen)) < 0:
            seen = len(self._received)
            block = self._socket.recv(1 << 16)
            if not block:
                raise UnreachableError(f"the supervisor at {self.path} closed the connection before it answered")
            self._received += block
        message = wire.decode(bytes(self._received[:end]))
        del self._received[: end + 1]
        if not isinstance(message, dict):
            raise wire.MalformedError("not an object")
        return message
