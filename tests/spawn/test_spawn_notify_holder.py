"""What the spawner of an earlier supervisor hands to the next one, and what does not arrive."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from supervisor.spawn.notify_holder import THATS_ALL, Inherited


def giver(folder: Path, name: str, give: Callable[[socket.socket], None]) -> threading.Thread:
    """An old spawner, with this to give; it ends when it is told that it may, or that it was left alone."""
    folder.mkdir(exist_ok=True)
    listens = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listens.bind(f"{folder}/{name}")
    listens.listen()

    def serve() -> None:
        with listens, listens.accept()[0] as taker:
            give(taker)
            taker.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_holder_that_hands_over_less_than_announced(tmp_path: Path) -> None:
    """The kernel drops descriptors when none is free. The rest is valid, and the other spawners are asked, too."""
    read, write = os.pipe()

    def short(taker: socket.socket) -> None:
        socket.send_fds(taker, [b"/run/a\0/run/b"], [read])

    def whole(taker: socket.socket) -> None:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with pair[0], pair[1]:
            socket.send_fds(taker, [b"/run/c"], [pair[0].fileno()])
        taker.send(THATS_ALL)

    threads = [giver(tmp_path / "notify_holders", name, give) for name, give in (("1", short), ("2", whole))]
    inherited = Inherited()
    inherited.fetch(str(tmp_path))
    assert inherited.take("/run/b") is None
    taken = inherited.take("/run/c")
    assert taken is not None
    taken.close()
    inherited.end_old_spawners()
    for thread in threads:
        thread.join()
    os.close(read)
    os.close(write)
