"""A process supervisor for the background tasks of one Linux VM.

Five files explain the machine; read them in this order:

1. `core/states.py`: the states of an instance and the legal steps between them.
2. `core/lifecycle.py`: one instance; the transition table.
3. `core/fleet.py` (with `core/gate.py`): all of them; what a change of one means for the others.
4. `parent.py`: the loop. Wait, decide, record, act, report.
5. `host/process.py` (with `host/child.py` and `host/signaller.py`): fork, the go byte, exits, signals.

For a task written in Python: `Stop`, see `supervisor.task`.
"""

from __future__ import annotations

from supervisor.version import __version__

TYPE_CHECKING = False  # as in `typing`, which the spawner has no use for
if TYPE_CHECKING:
    from supervisor.task import Stop

__all__ = ["Stop", "__version__"]


def __getattr__(name: str) -> object:
    """Loads `Stop` when it is asked for: `supctl`, which needs none of it, starts the faster."""
    if name == "Stop":
        from supervisor.task import Stop  # noqa: PLC0415

        return Stop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
