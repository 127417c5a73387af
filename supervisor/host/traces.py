"""What tells of its run a process that has taken off the mark: the output that it holds open, and its environment.

Both are weaker than the mark (`mark`), as a stranger may have them: a descriptor can be handed over (SCM_RIGHTS), an
environment be copied (at(1)). So they count for nobody who can be known by something better:

- only for an orphan (`heirs`): whoever still has the parent that forked it is of the run if that is. The `cat` that
  root redirects into a FIFO is its shell's;
- only for one that has no mark of another run, and is no older than the run itself, as far as that is known: not of a
  run that no record tells of, nor, by the next supervisor, once another process has become the main one (MAINPID=);
- an output only if it is open for writing, which is what the tasks do with it. Who reads it, as @scribe does, is no
  task.

The FIFO of a run is told by its name, which is in /proc/PID/fd also after @scribe has removed it. It is the run's own,
unless an instance has many runs that nobody has read yet (`fifo`): then it is that of an earlier run, and tells
nothing. A task whose output goes nowhere has none.
"""

from __future__ import annotations

import os
import re
from functools import cache

from supervisor.core.immutable import immutable
from supervisor.host import mark, procfs

_VARIABLES = (b"SUPERVISOR_RUN=", b"SUPERVISOR_SOCKET=")

_FIFO = re.compile(r"/output/([^/]+)\.(?:out|err)(?: \(deleted\))?\Z")


@immutable
class Traces:
    """Those of one run."""

    run: str  # its id
    runtime_dir: str  # of its supervisor
    since: int = 0  # the birth of its first process; 0 when it is not known

    def on(self, orphan: procfs.Stat) -> bool:
        """Whether this orphan has them."""
        if orphan.birth < self.since or marked(orphan) not in (0, _ours(os.getpid())):
            return False
        seen, at = _seen(orphan), f"SUPERVISOR_SOCKET={self.runtime_dir}/supervisor.sock"
        return seen >= {f"SUPERVISOR_RUN={self.run}", at} or os.path.basename(output(self.run, "")) in seen


def marked(one: procfs.Stat) -> int:
    """Its mark. Looked at once for all runs, as `_seen`: who is asked about is one process at one moment."""
    if one.mark is None:
        one.mark = mark.of(one.pid)
    return one.mark


@cache
def _ours(pid: int) -> int:
    """Our own mark, if we are a task of somebody ourselves."""
    return mark.of(pid)


def _seen(one: procfs.Stat) -> frozenset[str]:
    """The traces of whatever run: lines of its environment, as at its exec, and the FIFOs, without the stream.

    The environment of a Python task, which has no exec, is the spawner's.
    """
    if one.traces is None:
        lines = [line for line in procfs.environment(one.pid) if line.startswith(_VARIABLES)]
        fifos = filter(None, map(_FIFO.search, procfs.writes_to(one.pid)))
        one.traces = frozenset((*map(os.fsdecode, lines), *(fifo[1] for fifo in fifos)))
    return one.traces


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
