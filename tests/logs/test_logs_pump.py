"""Pipes: data that is only inspected stays in its FIFO, and the size of all pipes is bounded."""

import os

import pytest

from supervisor.logs.pump import ALL_PIPES, PIPE, Pump, enlarged, room_of


@pytest.fixture
def pipes():
    made = []

    def make() -> tuple[int, int]:
        made.append(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        return made[-1]

    yield make
    for pair in made:
        for fd in pair:
            os.close(fd)


def test_inspected_data_stays_until_it_is_taken(pipes):
    read, write = pipes()
    pump = Pump()
    assert pump.peek(read, 100) is None
    os.write(write, b"one\ntwo\n")
    assert pump.peek(read, 100) == pump.peek(read, 100) == b"one\ntwo\n"
    pump.consume(read, 4)
    assert pump.peek(read, 100) == b"two\n"
    pump.close()


def test_many_pipes_are_smaller_and_bounded_together(pipes):
    fds = [pipes()[0] for _ in range(128)]
    rooms = [enlarged(fd, number) for number, fd in enumerate(fds, 1)]
    assert rooms == [room_of(fd) for fd in fds]
    assert rooms[0] == PIPE
    assert rooms == sorted(rooms, reverse=True)
    usual = 65536
    assert all(sum(rooms[:many]) <= 3 * ALL_PIPES + many * usual for many in range(1, 129))
    assert rooms[-1] == usual, "nobody has less than he had"
