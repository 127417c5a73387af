"""What the spawner of an earlier supervisor gives to the next one, and what does not come through."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from supervisor.host.unheard import THATS_ALL, Unheard


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


def test_one_that_gives_less_than_it_says_is_passed_over(tmp_path: Path) -> None:
    """As the kernel does when no descriptor is left: what came through is good, and the others are asked, too."""
    read, write = os.pipe()

    def short(taker: socket.socket) -> None:
        socket.send_fds(taker, [b"/run/a\0/run/b"], [read])

    def whole(taker: socket.socket) -> None:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with pair[0], pair[1]:
            socket.send_fds(taker, [b"/run/c"], [pair[0].fileno()])
        taker.send(THATS_ALL)

    threads = [giver(tmp_path / "unheard", name, give) for name, give in (("1", short), ("2", whole))]
    unheard = Unheard()
    unheard.fetch(str(tmp_path))
    assert unheard.take("/run/b") is None
    taken = unheard.take("/run/c")
    assert taken is not None
    taken.close()
    unheard.settled()
    for thread in threads:
        thread.join()
    os.close(read)
    os.close(write)
