"""From one program to the next: what is passed on, what is not believed, and that nothing is changed by a failure."""

import json
import os
import resource
import signal
import time

import pytest

from supervisor.host.handover import DESCRIPTORS, HELD, TRIAL, VARIABLE, Handover, Trial, received


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_what_is_told_is_what_is_received(name: str) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    handover = Handover({"directory": "/run/x", name: read, "command": ["a", "b"], "of a later version": 1})
    got = received(json.dumps({"pid": os.getpid(), **vars(handover)}))
    assert got
    assert vars(got) == vars(handover)
    assert not os.get_inheritable(read)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("told", ["", "{", "[]", "1", "{}", '{"pid": 1}'])
def test_what_somebody_else_has_written_is_not_believed(told: str) -> None:
    assert received(told) is None


def test_a_descriptor_that_was_not_kept_is_none() -> None:
    got = received(json.dumps({"pid": os.getpid(), "lock": 987, "guard": -1}))
    assert got
    assert (got.lock, got.guard, got.socket) == (-1, -1, -1)


def test_a_program_that_cannot_be_executed_changes_nothing() -> None:
    read, write = os.pipe()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(FileNotFoundError):
        Handover({"lock": read, "open_files": 512}).execute(["/no/such/program"])
    assert VARIABLE not in os.environ
    assert not os.get_inheritable(read)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    os.close(read)
    os.close(write)


class BackError(Exception):
    """The old program would be executed."""


class Tried(Trial):
    def _go_back(self, why: str) -> None:
        raise BackError(why)


def fails() -> int:
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("program", "up", "why", "outcome"),
    [
        (lambda: 0, None, "", 0),  # a wish to end
        (lambda: 69, 0.0, "", 69),  # on_give_up = "shutdown"
        (lambda: 1, None, "", BackError),
        (lambda: 78, 0.0, "", BackError),
        (fails, 0.0, "", BackError),
        (fails, TRIAL + 1, "", ValueError),  # the trial is over
        (lambda: 1, TRIAL + 1, "", 1),
        (fails, None, "it is the old one already", ValueError),
        (lambda: 1, None, "it is the old one already", 1),
    ],
)
def test_what_brings_the_old_program_back(
    program: object, up: float | None, why: str, outcome: object, capsys: object
) -> None:
    trial = Tried(Handover({"why": why}))
    trial.up = None if up is None else time.monotonic() - up
    if isinstance(outcome, int):
        assert trial.run(program) == outcome
    else:
        with pytest.raises(outcome):
            trial.run(program)
