"""Find the run of each process of the machine, for many runs in one pass, without cgroups.

`proctree.find` answers for one run and looks at every process. For a thousand runs that would be a thousand passes.
Here an index names the few runs to which a process can belong. `proctree.belongs` decides, as it does for one run.

A stranger is a process that belongs to none of the runs. It does not come to belong to one of the same runs later,
unless it joins a process group. So its mark and its evidence are read again only when there is another run.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping

from supervisor.host import procfs
from supervisor.host.procload import Load
from supervisor.runs import evidence, proctree


class Strangers:
    """The processes that belonged to none of the runs, from one pass to the next."""

    def __init__(self) -> None:
        self._marks: frozenset[int] = frozenset()  # the marks of the runs for which the strangers are known
        self._known: set[tuple[int, int]] = set()  # by pid and birth

    def among(self, families: Mapping[str, proctree.Family]) -> set[tuple[int, int]]:
        """Return the strangers that are known for exactly these runs."""
        marks = frozenset(family.mark for family in families.values())
        if marks != self._marks:
            self._marks, self._known = marks, set()
        return self._known

    def replace(self, known: set[tuple[int, int]]) -> None:
        """Keep what the last pass has found."""
        self._known = known


class Index:
    """The keys of runs, by everything that can show that a process belongs to a run."""

    def __init__(self, families: Mapping[str, proctree.Family]) -> None:
        """`families` by the key of their run."""
        self._families = families
        self._by_leader = {family.leader: key for key, family in families.items() if family.leader > 0}
        self._by_mark = {family.mark: key for key, family in families.items()}
        self._by_evidence: dict[str, str] = {}
        self._users = frozenset().union(*(family.users for family in families.values()))
        for key, family in families.items():
            if family.evidence:
                self._by_evidence |= dict.fromkeys(family.evidence.shown(), key)

    def may_have_evidence(self, one: Load) -> bool:
        """Return whether to look for evidence: nothing else tells, and the evidence of other users does not count."""
        if one.group in self._by_leader or one.session in self._by_leader:
            return False
        users = procfs.users(one)
        return bool(users) and users <= self._users

    def owner(self, one: Load, *, orphan: bool, stranger: bool) -> str | None:
        """Return the key of the run to which a process belongs by itself, whatever its parent; None: to no run."""
        for key in self._candidates(one, orphan=orphan, stranger=stranger):
            if proctree.belongs(self._families[key], one, orphan=orphan):
                return key
        return None

    def _candidates(self, one: Load, *, orphan: bool, stranger: bool) -> Iterable[str]:
        """Yield candidates, cheap checks first: a process group costs nothing, the mark one file, evidence several."""
        yield from filter(None, (self._by_leader.get(one.group), self._by_leader.get(one.session)))
        if stranger:
            return
        yield from filter(None, (self._by_mark.get(evidence.marked(one)),))
        if orphan:
            yield from filter(None, map(self._by_evidence.get, one.evidence or ()))


def owners(
    families: Mapping[str, proctree.Family], everyone: Iterable[Load], strangers: Strangers
) -> dict[str, list[Load]]:
    """Return the living processes of each run, by its key. A process is counted for one run only.

    Args:
        families: by what the processes of each run are known.
        everyone: all processes of the machine.
        strangers: what the last pass has found; it is brought up to date.
    """
    known = strangers.among(families)
    index, heirs = Index(families), evidence.heirs()
    alive = {one.pid: one for one in everyone if one.pid != os.getpid()}
    children: defaultdict[int, list[int]] = defaultdict(list)
    owned: dict[int, str] = {}
    orphans = {pid for pid, one in alive.items() if evidence.orphaned(one, heirs)}
    unknown = [alive[pid] for pid in orphans if (pid, alive[pid].birth) not in known]
    evidence.gather(one for one in unknown if index.may_have_evidence(one))  # one child reads all of them
    for pid, one in alive.items():
        children[one.parent].append(pid)
        stranger = (pid, one.birth) in known
        if key := index.owner(one, orphan=pid in orphans, stranger=stranger):
            owned[pid] = key
    todo = list(owned)
    while todo:
        parent = todo.pop()
        new = [pid for pid in children.get(parent, ()) if pid not in owned]
        owned |= dict.fromkeys(new, owned[parent])
        todo += new
    strangers.replace({(pid, one.birth) for pid, one in alive.items() if pid not in owned})
    found: defaultdict[str, list[Load]] = defaultdict(list)
    for pid, key in owned.items():
        found[key].append(alive[pid])
    return found
