"""From one program to the next: what is passed on, what is not trusted, and that a failure changes nothing."""

import json
import os
import resource
import signal

import pytest

from supervisor.spawn.reexec import DESCRIPTORS, HELD, VARIABLE, ReexecState, received


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_the_next_program_receives_what_was_passed(name: str) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    state = ReexecState({"directory": "/run/x", name: read, "command": ["a", "b"], "of a later version": 1})
    got = received(json.dumps({"pid": os.getpid(), **vars(state)}))
    assert got
    assert vars(got) == vars(state)
    assert not os.get_inheritable(read)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("told", ["", "{", "[]", "1", "{}", '{"pid": 1}'])
def test_foreign_content_is_not_trusted(told: str) -> None:
    assert received(told) is None


def test_a_descriptor_that_was_not_passed_is_none() -> None:
    got = received(json.dumps({"pid": os.getpid(), "lock": 987, "guard": -1}))
    assert got
    assert (got.lock, got.guard, got.socket) == (-1, -1, -1)


def test_a_program_that_cannot_be_executed_changes_nothing() -> None:
    read, write = os.pipe()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(FileNotFoundError):
        ReexecState({"lock": read, "open_files": 512}).execute(["/no/such/program"])
    assert VARIABLE not in os.environ
    assert not os.get_inheritable(read)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    os.close(read)
    os.close(write)
