"""The poller: asks the web server every two seconds. It requires the server, so it starts after it and ends with it."""

from __future__ import annotations

import json
import signal
import sys
import time
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from place import URL

EVERY = 2.0
PATIENCE = 20.0
"""Seconds for the server to come up: it is ready, for the supervisor, as soon as it is started."""


def main() -> None:
    """Asks until SIGTERM; a server that does not answer for long ends it, and the restart policy goes on from there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    opener = build_opener(ProxyHandler({}))  # loopback: no proxy
    answered, last = time.monotonic(), None
    while True:
        try:
            url = URL.read_text()
            with opener.open(f"{url}coldest", timeout=5) as answer:
                first = json.load(answer)[0]
        except (FileNotFoundError, URLError) as error:
            if time.monotonic() - answered > PATIENCE:
                sys.exit(f"no answer for {PATIENCE:g} s: {error}")
            time.sleep(0.2)
            continue
        answered = time.monotonic()
        if first != last:
            last = first
            print(f"{url}coldest says {first['celsius']} °C in {first['station']}")
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
