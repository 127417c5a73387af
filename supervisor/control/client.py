"""The client's end of the control socket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from supervisor.control import wire


class UnreachableError(Exception):
    """No supervisor can be asked; the text says whether it does not run or does not let us."""


def default_socket() -> str:
    """Where the supervisor of this user is, or else that of the machine."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = f"{runtime}/supervisor" if runtime else f"/tmp/supervisor-{os.getuid()}"  # noqa: S108 - the contract's place
    system = "/run/supervisor"
    first, second = (system, own) if os.getuid() == 0 else (own, system)
    path = f"{first}/supervisor.sock"
    return path if os.path.exists(path) else f"{second}/supervisor.sock" if _exists(second) else path


def _exists(directory: str) -> bool:
    return os.path.exists(f"{directory}/supervisor.sock")


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
        except PermissionError:
            raise UnreachableError(
                f"no permission to talk to the supervisor at {path}: only root, its owner and socket_group may"
            ) from None
        except OSError as error:
            why = (
                "it is not running"
                if isinstance(error, (FileNotFoundError, ConnectionRefusedError))
                else error.strerror
            )
            hint = "start it, or name another socket with --socket or $SUPERVISOR_SOCKET"
            raise UnreachableError(f"no supervisor at {path}: {why or error}; {hint}") from None
        self._file = self._socket.makefile("rb")

    def ask(self, verb: str, args: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Sends a request and yields every line that comes back, up to the last one of the request.

        Raises:
            UnreachableError: the supervisor hung up first.
        """
        try:
            self._socket.sendall(wire.encode(verb=verb, args=args))
            for line in self._file:
                message = json.loads(line)
                yield message
                if "answer" in message or "error" in message:
                    return
        except OSError as error:
            raise UnreachableError(f"the supervisor at {self.path} hung up: {error.strerror}") from None
        raise UnreachableError(f"the supervisor at {self.path} hung up before it had answered")
