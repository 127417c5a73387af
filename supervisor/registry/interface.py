"""Define what is known of a helper: its command, when it is needed, what it is told, and what its absence means."""

from __future__ import annotations

from collections.abc import Callable

from supervisor.core.definition import Config, Settings, Task
from supervisor.core.immutable import immutable


@immutable
class Helper:
    """One helper. The texts are for people: `supctl status` and the documentation show them."""

    name: str  # "@scribe": its program is `supervisor.helpers.scribe`
    does: str  # its work
    needed: Callable[[Config], bool]
    needed_if: str  # the same in words: with …
    arguments: Callable[[str, Settings], tuple[str, ...]]  # of its program, from the runtime directory and the settings
    told: str  # what it is told, and how: the files that it reads, the socket on which it is asked
    down: str  # what its absence means for the tasks: until then …
    user: str | None = None  # as whom it runs; None: as the supervisor
    socket: Callable[[str], str] | None = None  # of the runtime directory: the parent listens there before it starts
    reads_output: bool = False  # it reads the FIFOs of tasks, and gets those that others hold open for it
    reads_manifest: bool = False  # the parent writes the manifest again when it is restarted
    stays: bool = False  # goes on when it is no longer needed: it still has output to write

    @property
    def key(self) -> str:
        """The key of its instance."""
        return f"{self.name}:1"

    @property
    def program(self) -> str:
        """The function that is its program: "module:callable"."""
        return f"supervisor.helpers.{self.name[1:]}:main"

    def task(self, runtime_dir: str, settings: Settings) -> Task:
        """Return the definition that the fleet supervises.

        A helper is forked from the spawner, without an exec: it shares the memory of the interpreter.
        """
        return Task(self.name, python=self.program, command=self.arguments(runtime_dir, settings), user=self.user)
