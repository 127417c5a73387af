"""When the config is read again because it may have been saved before it was watched."""

from types import SimpleNamespace
from typing import Any

from supervisor.shell.config_in_force import UNSURE_FOR, ConfigInForce


class Machine:
    """A parent that is just starting its tasks."""

    def __init__(self) -> None:
        self.errands = 0
        self.host = SimpleNamespace(now=lambda: 100.0, stamp=lambda: "", woke=100.0)
        self.fleet = SimpleNamespace(next_deadline=lambda: 0.0)  # instances wait for their turn to start
        self.config = SimpleNamespace(path="/x.toml")

    def errand(self, *_: object) -> None:
        """See `Context.errand`."""
        self.errands += 1


def in_force(machine: Any) -> ConfigInForce:
    none: Any = None
    return ConfigInForce(machine, none, none, none)


def test_a_new_watch_does_not_compete_with_the_first_starts() -> None:
    machine = Machine()
    config = in_force(machine)
    config.touched(certain=False)
    config.reread_if_unsure()
    assert machine.errands == 0
    machine.fleet.next_deadline = lambda: 200.0
    config.reread_if_unsure()
    config.reread_if_unsure()
    assert machine.errands == 1


def test_a_change_counts_at_once() -> None:
    machine = Machine()
    in_force(machine).touched(certain=True)
    assert machine.errands == 1


def test_starts_that_never_end_do_not_delay_it_for_ever() -> None:
    machine = Machine()
    config = in_force(machine)
    machine.host.woke = 100.0 + UNSURE_FOR
    config.reread_if_unsure()
    assert machine.errands == 1
