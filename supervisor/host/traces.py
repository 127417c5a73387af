"""What tells of its run a process that has taken off the mark: the output that it holds open, and its environment.

Both are weaker than the mark (`mark`), as a stranger may have them: a descriptor can be handed over (SCM_RIGHTS), an
environment be copied (at(1)). So they count for nobody who can be known by something better:

- only for an orphan (`heirs`): whoever still has the parent that forked it is of the run if that is. The `cat` that
  root redirects into a FIFO is its shell's;
- only for one that has no mark of another run, and is no older than the run itself;
- an output only if it is open for writing, which is what the tasks do with it. Who reads it, as @scribe does, is no
  task.

The FIFO of a run is told by its name, which is in /proc/PID/fd also after @scribe has removed it. It is the run's own,
unless an instance has many runs that nobody has read yet (`fifo`): then it is that of an earlier run, and tells
nothing. A task whose output goes nowhere has none.
"""

from __future__ import annotations

import os
import re

from supervisor.core.immutable import immutable
from supervisor.host import mark, procfs


@immutable
class Traces:
    """Those of one run."""

    run: str  # its id
    runtime_dir: str  # of its supervisor
    since: int = 0  # the birth of its first process; 0 when it is not known

    def on(self, orphan: procfs.Stat) -> bool:
        """Whether this orphan has them."""
        if orphan.birth < self.since or mark.of(orphan.pid) not in (0, mark.of(os.getpid())):
            return False
        return self._in_environment(orphan.pid) or self._on_output(orphan.pid)

    def _in_environment(self, pid: int) -> bool:
        """As it was at its exec: that of a Python task, which has none, is the spawner's."""
        own = {f"SUPERVISOR_RUN={self.run}".encode(), f"SUPERVISOR_SOCKET={self.runtime_dir}/supervisor.sock".encode()}
        return own <= set(procfs.environment(pid))

    def _on_output(self, pid: int) -> bool:
        fifo = re.compile(re.escape(output(self.run, "")) + r"\.(out|err)( \(deleted\))?\Z")
        return any(fifo.search(path) for path in procfs.writes_to(pid))


def output(run: str, runtime_dir: str) -> str:
    """The path of the FIFOs of a run, but for the stream that each is for (".out")."""
    return f"{runtime_dir}/output/{run.replace('/', '.')}"


def heirs() -> dict[int, int]:
    """Whose children orphans of a run become, ours or those of our ancestors when we were dead; each with its session.

    A child of theirs that is in their own session is no orphan: that of a shell, say, in which we were started. Who has
    left its own session is in a new one, and nobody can enter another.
    """
    return {pid: procfs.stat(pid).session for pid in (os.getpid(), *procfs.ancestors(os.getpid()))}


def orphaned(one: procfs.Stat, heirs: dict[int, int]) -> bool:
    """Whether its parent is one of these by inheritance only."""
    return one.session != heirs.get(one.parent, one.session) and one.pid not in heirs
