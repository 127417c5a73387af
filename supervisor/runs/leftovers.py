"""End what an earlier, killed supervisor has left and no living run owns, before anything is started.

There are three kinds of leftovers:

- Runs without a record, or with one that cannot be trusted: the journal was removed, torn or changed. Otherwise their
  tasks would be started a second time beside them.
- Questions of probes (`probe_children`) whose answer is no longer needed.
- Whatever else is in a cgroup of that supervisor. Only an adopted run may stay there.

Two things together identify a run without a record. Its environment names the run and the supervisor. And it has the
mark of that run (`mark`), which only descendants of the run have. A copy of the environment alone is no proof: at(1)
makes one. If a record tells the id of the run, trusted or not, the mark is enough. Questions are identified
in the same way, by marks of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable

from supervisor.host import mark, procfs
from supervisor.host.cgroup import Cgroup, runs
from supervisor.runs import evidence
from supervisor.store import layout

_ID = re.compile(r"[A-Za-z0-9_.@-]+:[0-9]+/[0-9]+@[A-Za-z0-9]+")
"""The id of a run. An environment may say something else; that is neither looked for nor printed."""


def kill(runtime_dir: str, known: Iterable[str], doubtful: Iterable[str] = (), users: Iterable[int] = ()) -> list[str]:
    """Kill every run of the supervisor with this runtime directory, except for `known`. Say what was killed.

    Args:
        runtime_dir: of the supervisor.
        known: the ids of the runs that will be adopted.
        doubtful: the ids of runs whose record is not trusted.
        users: the user ids of the tasks, beside our own. Processes of other users are never looked at.
    """
    told, doubtful, ours = [], set(doubtful), frozenset({os.geteuid(), *users})
    for run, number in find(runtime_dir, set(known), doubtful, ours):
        from supervisor.runs import proctree  # noqa: PLC0415 - hardly ever

        asked = number != mark.number(run, runtime_dir)
        of = None if asked else evidence.Evidence(run, runtime_dir)
        ended = proctree.chase(proctree.Family(number, leader=0, evidence=of, users=ours, heir=os.getpid()), leader=0)
        text = f"the record of run {run} is not trusted" if run in doubtful else f"run {run} has no record"
        text = f"a probe of run {run} was no longer needed" if asked else text
        text += f": killed {', '.join(ended.killed) or 'nothing'}"
        told.append(f"{text}; still alive: {', '.join(ended.left)}" if ended.left else text)
    return told


def find(
    runtime_dir: str, known: set[str], doubtful: Iterable[str] = (), users: frozenset[int] | None = None
) -> list[tuple[str, int]]:
    """Find the runs of which a process lives, or a question to them. Return their ids, each with its mark.

    This costs 20 µs for each process of the machine.
    """
    users = frozenset({os.geteuid()}) if users is None else users
    doubtful = set(doubtful)
    marks = {mark.number(run, runtime_dir): run for run in doubtful - known}
    asked = {mark.question(run, runtime_dir): run for run in known | doubtful}
    marked = _marked(users)
    evidence.gather([one for one in marked if _named(one, marks, asked) == ""])
    found = set()
    for one in marked:
        run = _named(one, marks, asked) or _run_of(one, runtime_dir, known)
        if run:
            found.add((run, evidence.marked(one)))
    return sorted(found)


def _marked(users: frozenset[int]) -> list[procfs.Stat]:
    """Return every living process of these users that has a mark. Nothing else is read of other processes."""
    alive = [one for one in map(procfs.stat, procfs.pids()) if one.alive and procfs.owner(one) in (0, *users)]
    return [one for one in alive if evidence.marked(one) and procfs.users(one) <= users]


def _named(one: procfs.Stat, marks: dict[int, str], asked: dict[int, str]) -> str:
    """Return the run that the mark alone identifies; "" if there is none."""
    return marks.get(evidence.marked(one)) or asked.get(evidence.marked(one) & ~mark.COUNT, "")


def _run_of(one: procfs.Stat, runtime_dir: str, known: set[str]) -> str:
    """Return the run that the environment and the mark identify together; "" if there is none."""
    seen = one.evidence or frozenset()
    said = next((line[15:] for line in seen if line.startswith("SUPERVISOR_RUN=")), "")
    if f"SUPERVISOR_SOCKET={layout.control_socket(runtime_dir)}" not in seen or not _ID.fullmatch(said):
        return ""
    number = evidence.marked(one)
    its_own = number == mark.number(said, runtime_dir) and said not in known
    return said if its_own or number & ~mark.COUNT == mark.question(said, runtime_dir) else ""


def kill_in(trees: Iterable[str], known: Container[str]) -> dict[str, str]:
    """Kill all processes in the cgroups of dead supervisors, except for `known`. Return what was killed, by cgroup."""
    told = {}
    for path in (path for tree in trees for path in runs(tree) if path not in known):
        cgroup = Cgroup(path)
        met = [one for one in map(procfs.stat, cgroup.pids()) if one.alive]
        cgroup.kill()
        told[path] = f"no known run has the cgroup {path}: killed {', '.join(procfs.names(met))}" if met else ""
    return told
