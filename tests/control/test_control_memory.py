"""Lines for clients that do not read are kept in memory once, not once for each client."""

import tracemalloc

from desk import Desk

from supervisor.control.server import MAX_CLIENTS, MAX_UNSENT


def test_lines_that_wait_are_not_copied_for_each_client(desk: Desk) -> None:
    for _ in range(MAX_CLIENTS):
        desk.connect()
    lines = [b"%d" % number + b"x" * 1023 for number in range(MAX_UNSENT // 2048)]
    tracemalloc.start()
    try:
        for client in list(desk.server.clients):
            for line in lines:
                client.send(line)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(desk.server.clients) == MAX_CLIENTS, "none of them has fallen behind too far"
    assert grown < MAX_UNSENT
