"""Behaviour of every machine without a free descriptor, and when there are free ones again."""

import pytest
from contract.machine import POLICY, Machine, answer

from supervisor.core.events import Emptied, Exited, Killed
from supervisor.host.interface import CannotForkError


def ended(seen):
    return any(isinstance(one, Exited) for one in seen)


def emptied(seen):
    return any(isinstance(one, Emptied) for one in seen)


def test_a_run_that_cannot_be_checked_is_not_empty(machine: Machine):
    """Also when none of its processes lives. This is reported as soon as it can be checked."""
    run = machine.start("sleeps")
    with machine.scarcity():
        machine.host.terminate("web:1", run, POLICY)
        [over] = machine.until(ended)
        assert (over.run, over.empty) == (1, False)
        assert machine.quiet(0.3) == []
    assert machine.until(emptied)[-1] == Emptied(1)
    assert machine.quiet(0.1) == []


def test_remaining_processes_are_killed_as_soon_as_possible(machine: Machine):
    run = machine.start("leaves a stubborn stray")
    with machine.scarcity():
        machine.until(ended)
        machine.host.destroy([("web:1", run)])
        told = machine.until(bool)
        assert isinstance(told[0], Killed)
        assert told[0].left
        assert machine.quiet(0.3) == []
    machine.host.destroy([("web:1", run)])
    assert machine.until(emptied)[-1] == Emptied(1)


def test_a_stop_signal_reaches_leftovers_as_soon_as_that_is_possible(machine: Machine):
    run = machine.start("leaves a stray")
    with machine.scarcity():
        machine.until(ended)
        machine.host.terminate("web:1", run, POLICY)
        assert machine.quiet(0.3) == []
    assert machine.until(emptied)[-1] == Emptied(1)


def test_nothing_is_started_and_the_reason_is_reported(machine: Machine):
    launch = machine.launch("sleeps")
    with machine.scarcity():
        with pytest.raises(CannotForkError, match="Too many open files"):
            machine.host.fork(launch)
        number = machine.host.errand(str.upper, "text")
        [done] = machine.until(answer)
        assert (done.errand, done.value) == (number, None)
        assert "cannot fork" in done.error
    machine.start("sleeps")


def test_a_run_of_an_earlier_supervisor_counts_as_alive(machine: Machine):
    run = machine.life(lambda: machine.start("sleeps"))
    assert machine.host.now() > 0
    with machine.scarcity(), pytest.raises(OSError, match="Too many open files"):
        machine.host.adopt("web:1", run)
    assert machine.host.adopt("web:1", run) is True
