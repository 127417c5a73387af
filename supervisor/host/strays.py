"""What lives and belongs to no living run, as an earlier supervisor was killed: it is ended before anything is started.

Runs that no record tells of, or none that can be trusted (the journal was removed, torn or changed): their tasks would
be started a second time beside them. One is known by two things together: its environment says which run of which
supervisor it is, and it has that run's mark (`mark`), which only its own descendants have. A copy of the environment
alone, as at(1) makes one, is no proof. For the id that a record tells, trusted or not, the mark is enough.

Questions to runs (`questions`), whose answer nobody waits for any more: they are known likewise, by marks of their own.
And whatever else is in a cgroup of that supervisor: only what is adopted has a right to be there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from supervisor.host import mark, procfs
from supervisor.host.cgroup import Cgroup, runs


def end(runtime_dir: str, known: Iterable[str], doubtful: Iterable[str] = ()) -> list[str]:
    """SIGKILL to every run of the supervisor with this runtime directory, but for these. Says who they were.

    Args:
        runtime_dir: of the supervisor.
        known: the ids of the runs that will be adopted.
        doubtful: those of runs whose record is not trusted.
    """
    told, doubtful = [], set(doubtful)
    for run, number in find(runtime_dir, set(known), doubtful):
        from supervisor.host import kin  # noqa: PLC0415 - hardly ever
        from supervisor.host.traces import Traces  # noqa: PLC0415

        asked = number != mark.number(run, runtime_dir)
        traces = None if asked else Traces(run, runtime_dir)
        ended = kin.chase(kin.Family(number, leader=0, traces=traces), leader=0)
        text = f"the record of run {run} is not trusted" if run in doubtful else f"no record tells of run {run}"
        text = f"nobody waits any more for what run {run} was asked" if asked else text
        text += f": killed {', '.join(ended.killed) or 'nothing'}"
        told.append(f"{text}; still there: {', '.join(ended.left)}" if ended.left else text)
    return told


def find(runtime_dir: str, known: set[str], doubtful: Iterable[str] = ()) -> list[tuple[str, int]]:
    """The ids of the runs of which something lives, or of a question to them, each with the mark of that.

    Costs 20 µs for each process of the machine.
    """
    socket = f"SUPERVISOR_SOCKET={runtime_dir}/supervisor.sock".encode()
    doubtful = set(doubtful)
    marks = {mark.number(run, runtime_dir): run for run in doubtful - known}
    asked = {mark.question(run, runtime_dir): run for run in known | doubtful}
    found = set()
    for pid in procfs.pids():
        environment = procfs.environment(pid)
        number = mark.of(pid) if asked or socket in environment else 0
        run = marks.get(number) or asked.get(number & ~mark.COUNT, "")
        if not run and socket in environment:
            said = next((one[15:].decode() for one in environment if one.startswith(b"SUPERVISOR_RUN=")), "")
            its_own = number == mark.number(said, runtime_dir) and said not in known
            run = said if its_own or number & ~mark.COUNT == mark.question(said, runtime_dir) else ""
        if run and procfs.stat(pid).alive:
            found.add((run, number))
    return sorted(found)


def end_in(trees: Iterable[str], known: Container[str]) -> dict[str, str]:
    """SIGKILL to all in the cgroups of supervisors that are no more, but for these. Says who they were, by cgroup."""
    told = {}
    for path in (path for tree in trees for path in runs(tree) if path not in known):
        cgroup = Cgroup(path)
        met = [one for one in map(procfs.stat, cgroup.pids()) if one.alive]
        cgroup.kill()
        told[path] = f"no run is known that is in {path}: killed {', '.join(procfs.names(met))}" if met else ""
    return told
