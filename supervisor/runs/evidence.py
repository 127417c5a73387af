"""Recognise a process that has taken off the mark of its run: by the output that it holds open, or its environment.

Both are weaker evidence than the mark (`mark`), because a stranger may have them. A process can pass on a descriptor
(SCM_RIGHTS); at(1) copies an environment. So they count only without better evidence:

- They count only for a process that has the run's user by each of its ids. Nothing of other processes is read.
- They count only for an orphan (`heirs`). A process whose parent still is the one that forked it belongs to the
  parent's run, if to any. The `cat` that root redirects into a FIFO belongs to the shell of root.
- They count only for a process that has no mark of another run.
- They count only for a process that is no older than the run, if the age of the run is known. It is unknown for a run
  without a record. The next supervisor does not know it once another process is the main one (MAINPID=).
- An output counts only if it is open for writing, as by tasks. A process that reads it, as @scribe does, is no task.

A FIFO is named after its run. /proc/PID/fd shows the name also after @scribe has removed the FIFO. There is one
exception: if many runs of an instance are unread, a new run uses the FIFO of an earlier one (`fifos`). That FIFO tells
nothing of the new run. A task whose output goes nowhere has no FIFO.
"""

from __future__ import annotations

import os
import re
from functools import cache

from supervisor.core.immutable import immutable
from supervisor.host import foreign, mark, procfs
from supervisor.store import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLES = (b"SUPERVISOR_RUN=", b"SUPERVISOR_SOCKET=")

LONGEST = 4096
"""Bytes of a variable. A longer one is not ours."""

REMEMBERED = 10_000
"""Processes whose evidence is remembered."""

_remembered: dict[tuple[int, int, str], frozenset[str]] = {}
"""By pid, birth and name (an exec changes it). Each process is looked at once. If that hangs, it shows nothing."""

_FIFO = re.compile(r"/output/([^/]+)\.(?:out|err)(?: \(deleted\))?\Z")


@immutable
class Evidence:
    """The evidence of one run."""

    run: str  # its id
    runtime_dir: str  # of its supervisor
    since: int = 0  # the birth of its first process; 0 when it is not known

    def on(self, orphan: procfs.Stat) -> bool:
        """Return whether this orphan has this evidence."""
        if not self.may_be_on(orphan):
            return False
        gather([orphan])
        found, at = orphan.evidence or frozenset(), f"SUPERVISOR_SOCKET={layout.control_socket(self.runtime_dir)}"
        return found >= {f"SUPERVISOR_RUN={self.run}", at} or os.path.basename(layout.output("", self.run)) in found

    def shown(self) -> tuple[str, str]:
        """Return what `gather` finds in a process with this evidence: at least one of the two."""
        return f"SUPERVISOR_RUN={self.run}", os.path.basename(layout.output("", self.run))

    def may_be_on(self, orphan: procfs.Stat) -> bool:
        """Return whether evidence counts for this orphan: it is not too old, and has no mark of another run."""
        return orphan.birth >= self.since and marked(orphan) in (0, _ours(os.getpid()))


def marked(one: procfs.Stat) -> int:
    """Return its mark. Like `gather`, this reads the mark once for all runs: `one` is a process at one moment."""
    if one.mark is None:
        one.mark = mark.of(one.pid)
    return one.mark


@cache
def _ours(pid: int) -> int:
    """Return our own mark, in case we are a task of another supervisor."""
    return mark.of(pid)


def gather(ones: Iterable[procfs.Stat]) -> None:
    """Look for the evidence of any run in these processes, and keep it: variables, and the FIFOs without streams.

    One child looks at all of them (`foreign`). The environment is that of the exec. A Python task has no exec, so it
    shows the environment of the spawner.
    """
    new = [one for one in ones if one.evidence is None]
    unknown = [one for one in new if _key(one) not in _remembered]
    if len(_remembered) > REMEMBERED:
        _remembered.clear()
    found = foreign.answers([one.pid for one in unknown], _read_evidence) if unknown else {}
    _remembered.update({_key(one): _decoded(found[one.pid]) for one in unknown if one.pid in found})
    for one in new:
        one.evidence = _remembered.get(_key(one), frozenset())


def _key(one: procfs.Stat) -> tuple[int, int, str]:
    return one.pid, one.birth, one.name


def _read_evidence(pid: int) -> tuple[list[bytes], list[str]]:
    """Return the evidence that this process shows. This can block."""
    lines = [line for line in procfs.environment(pid) if line.startswith(VARIABLES) and len(line) < LONGEST]
    return lines, [fifo[1] for fifo in map(_FIFO.search, procfs.writes_to(pid)) if fifo]


def _decoded(shown: tuple[list[bytes], list[str]] | None) -> frozenset[str]:
    lines, fifos = shown or ([], [])
    return frozenset((*map(os.fsdecode, lines), *fifos))


def heirs() -> dict[int, int]:
    """Return the pids of the processes that inherit orphans of a run, each with its session.

    We inherit them, or our ancestors did when we were dead. A child in the same session as its heir is no orphan: for
    example, the child of a shell in which we were started. A process that leaves its session is in a new one. It cannot
    enter another one that exists.
    """
    return {pid: procfs.stat(pid).session for pid in (os.getpid(), *procfs.ancestors(os.getpid()))}


def orphaned(one: procfs.Stat, heirs: dict[int, int]) -> bool:
    """Return whether one of these heirs has only inherited it."""
    return one.session != heirs.get(one.parent, one.session) and one.pid not in heirs
