"""Clients leave descriptors for tasks: the longest idle client is disconnected, with the reason."""

import os
import resource
from collections.abc import Iterator

import pytest
from desk import Desk

from supervisor.control import server
from supervisor.host import lookup


@pytest.fixture
def scarce() -> Iterator[None]:
    """No more descriptors than are open now, those that tasks need, and twenty."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + lookup.FOR_TASKS + 2 * 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_are_bounded_by_the_descriptors_that_tasks_need(desk: Desk, scarce: None) -> None:
    lines = []
    for _ in range(24):
        desk.now += 0.01
        lines.append(desk.connect())
    assert server.FEW < len(desk.server.clients) < 24
    assert lookup.free() >= lookup.FOR_TASKS
    assert lines[0].read() == {"v": 1, "error": server.DISMISSED, "exit": 5}
    assert lines[0].hung_up()
    assert lines[-1].ask(n=1)["answer"] == {"n": 1}


def test_clients_are_disconnected_when_tasks_need_descriptors_later(desk: Desk, scarce: None) -> None:
    for _ in range(15):
        desk.connect()
    before = len(desk.server.clients)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(15)]
    desk.turn()
    assert server.FEW <= len(desk.server.clients) < before
    assert lookup.free() >= lookup.FOR_TASKS or len(desk.server.clients) == server.FEW
    for fd in taken:
        os.close(fd)


def test_a_few_clients_are_always_served(desk: Desk, scarce: None) -> None:
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(lookup.FOR_TASKS)]
    lines = [desk.connect() for _ in range(server.FEW)]
    assert [line.ask(n=1)["answer"] for line in lines] == [{"n": 1}] * server.FEW
    for fd in taken:
        os.close(fd)


def test_an_idle_client_is_disconnected_before_a_waiting_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", server.FEW + 1)
    desk.answer = lambda request: None
    waits = desk.connect()
    waits.send(b'{"v": 1, "verb": "stop"}\n')
    desk.until(lambda: waits.client.waiting)
    lines = []
    for _ in range(server.FEW + 1):
        desk.now += 0.01
        lines.append(desk.connect())
    assert lines[0].hung_up()
    assert waits.client in desk.server.clients
