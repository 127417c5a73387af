"""Runs that live and that no record tells of, or none that can be trusted: the journal was removed, torn or changed.

Their tasks would be started a second time beside them. So they are ended before anything is started, and named. One
is known by two things together: its environment says which run of which supervisor it is, and it has that run's mark
(`mark`), which only its own descendants have. A copy of the environment alone, as at(1) makes one, is no proof. For
the id that a record tells, trusted or not, the mark is enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.host import mark, procfs


def end(runtime_dir: str, known: Iterable[str], doubtful: Iterable[str] = ()) -> list[str]:
    """SIGKILL to every run of the supervisor with this runtime directory, but for these. Says who they were.

    Args:
        runtime_dir: of the supervisor.
        known: the ids of the runs that will be adopted.
        doubtful: those of runs whose record is not trusted.
    """
    told, doubtful = [], set(doubtful)
    for run in find(runtime_dir, set(known), doubtful):
        from supervisor.host import kin  # noqa: PLC0415 - hardly ever
        from supervisor.host.traces import Traces  # noqa: PLC0415

        ended = kin.chase(kin.family(Traces(run, runtime_dir), leader=0), leader=0)
        text = f"the record of run {run} is not trusted" if run in doubtful else f"no record tells of run {run}"
        text += f": killed {', '.join(ended.killed) or 'nothing'}"
        told.append(f"{text}; still there: {', '.join(ended.left)}" if ended.left else text)
    return told


def find(runtime_dir: str, known: set[str], doubtful: Iterable[str] = ()) -> list[str]:
    """The ids of the runs of which something lives. Costs 20 µs for each process of the machine."""
    socket = f"SUPERVISOR_SOCKET={runtime_dir}/supervisor.sock".encode()
    marks = {mark.number(run, runtime_dir): run for run in doubtful if run not in known}
    found = set()
    for pid in procfs.pids():
        environment = procfs.environment(pid)
        if marks and (number := mark.of(pid)) in marks and procfs.stat(pid).alive:
            found.add(marks[number])
        elif socket in environment:
            run = next((one[15:].decode() for one in environment if one.startswith(b"SUPERVISOR_RUN=")), "")
            marked = mark.of(pid) == mark.number(run, runtime_dir)
            if run and run not in known and marked and procfs.stat(pid).alive:
                found.add(run)
    return sorted(found)
