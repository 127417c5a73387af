"""Who waits for which start-up task: a table of configs."""

import pytest

from supervisor.core.definition import Kind, Mode, Task
from supervisor.core.startup import StartupOrder


def tasks(text: str) -> dict[str, Task]:
    """Tasks as "NAME:MODE after" or "NAME after", one a line: with a mode it is a start-up task."""
    found = {}
    for line in text.split(";"):
        name, *after = line.split()
        name, _, mode = name.partition(":")
        kind = Kind.STARTUP if mode else Kind.CONTINUOUS
        found[name] = Task(name, kind=kind, mode=Mode(mode or "blocking"), after=tuple(after))
    return found


ORDERS = [
    # the tasks                                                  who waits for whom without naming it
    ("s:blocking; web", {"web": ("s",)}),
    ("s:background; web", {}),
    ("s:foreground; web", {}),
    ("s:blocking; b:background; f:foreground; web", {"web": ("s",)}),
    ("db; s:blocking db; web", {"web": ("s",)}),
    ("db; s:background db; web", {}),
    ("db; p:blocking; s:blocking db; web", {"db": ("p",), "web": ("p", "s")}),
    ("db; p:blocking; b:background db; web", {"db": ("p",), "web": ("p",)}),  # only what others wait for starts early
    ("db; b:background db; s:blocking b; web", {"web": ("s",)}),  # needed through a background task
    ("db; b:background db; s:blocking b; p:blocking; web", {"db": ("p",), "web": ("s", "p")}),
]


@pytest.mark.parametrize(("config", "waits"), ORDERS)
def test_who_waits(config: str, waits: dict[str, tuple[str, ...]]) -> None:
    defined = tasks(config)
    order = StartupOrder(defined)
    assert {name: order.before(name) for name in defined if order.before(name)} == waits
