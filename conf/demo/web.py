"""The web server: GET / for people, /coldest for programs. Loopback only."""

from __future__ import annotations

import errno
import json
import os
import signal
import socketserver
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from place import DATABASE, URL, replace

PORT = int(os.environ.get("SUPERVISOR_DEMO_PORT", "8400"))


def coldest(count: int) -> list[dict[str, object]]:
    """The coldest readings."""
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT station, hour, celsius FROM reading ORDER BY celsius LIMIT ?", (count,))
        return [{"station": station, "hour": hour, "celsius": celsius} for station, hour, celsius in rows]


class Handler(BaseHTTPRequestHandler):
    """Two pages."""

    def do_GET(self) -> None:
        """/ and /coldest."""
        if self.path == "/coldest":
            self._answer(200, "application/json", json.dumps(coldest(5)))
        elif self.path == "/":
            lines = (f"{row['celsius']:6} °C  {row['station']}, hour {row['hour']}" for row in coldest(5))
            self._answer(200, "text/plain; charset=utf-8", "\n".join(["The coldest readings", *lines, ""]))
        else:
            self._answer(404, "text/plain", "not here\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The poller says enough."""


class Server(ThreadingHTTPServer):
    """Without the look-up of its own name, which may wait for a name server."""

    daemon_threads = True

    def server_bind(self) -> None:
        """As that of the class above, but for the look-up."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def listen() -> Server:
    """At the usual port, or at any other one when somebody has that."""
    try:
        return Server(("127.0.0.1", PORT), Handler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        print(f"port {PORT} cannot be had ({error.strerror}), taking another one")
        return Server(("127.0.0.1", 0), Handler)


def main() -> None:
    """Serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with listen() as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        replace(URL, url)
        print(f"listening at {url}")
        try:
            server.serve_forever()
        finally:
            URL.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
