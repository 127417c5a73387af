"""kill -9 of the supervisor at random moments, for a minute, under a load of quiet, crashing and forking tasks.

    KILL_SECONDS=600 KILL_SEED=7 pytest tests/kill        for longer; the moments of a certain run

Half of the deaths come while it is still coming up: with an earlier one's journal, and tasks that go on meanwhile.
What must hold is asked of the machine, not of the supervisor: which processes live, and what the tasks have noted.
"""

import json
import os
import random
import signal
import time
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path

from e2e.lab import Lab, alive, wait_for

from supervisor.control.client import Connection, UnreachableError

SECONDS = float(os.environ.get("KILL_SECONDS", "60"))
SEED = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

TASKS = """
[defaults]
log = { to = "none" }
backoff = { initial = "10ms", max = "50ms", jitter = 0 }
[task.quiet]
command = "sh -c 'echo $$ >> {dir}/quiet; {note}; exec sleep 1000'"
replicas = 3
[task.after]
command = "sh -c 'echo $$ >> {dir}/after; {note}; exec sleep 1000'"
requires = ["quiet"]
[task.crash]
command = "sh -c 'echo $$ >> {dir}/crash; {note}; exit 1'"
replicas = 2
[task.forks]
command = "sh -c 'echo $$ >> {dir}/forks; {note}; for n in 1 2 3 4 5; do sleep 0.02 & done; wait; exit 3'"
[task.frozen]
command = "sh -c 'echo $$ >> {dir}/frozen; exec sleep 1000'"
freeze = true
"""


def noted(lab: Lab, name: str) -> list[int]:
    """Return the pids of all runs that began, as the tasks recorded them."""
    return [int(line) for line in lines(lab, name)]


def lines(lab: Lab, name: str) -> list[str]:
    path = lab.dir / name
    return path.read_text().split() if path.exists() else []


def doubled(lab: Lab) -> dict[str, set[str]]:
    """Return the instances that have two living runs."""
    runs = defaultdict(set)
    for pid in lab.processes():
        try:
            lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found = dict(line.split(b"=", 1) for line in lines if b"=" in line)
        if b"SUPERVISOR_RUN" in found and alive(pid):
            key = found[b"SUPERVISOR_TASK"] + b":" + found[b"SUPERVISOR_INSTANCE"]
            runs[key.decode()].add(found[b"SUPERVISOR_RUN"].decode())
    return {key: ids for key, ids in runs.items() if len(ids) > 1}


def recorded(lab: Lab) -> set[int]:
    """Return every pid in the journal of a supervisor that has just died."""
    found = set()
    for line in (lab.run / "journal").read_text().splitlines():
        run = json.loads(line).get("run") if line.endswith("}") else None
        if run:
            found.add(run["pid"])
    return found


def told_in_a_life(lab: Lab, seconds: float) -> set[str] | None:
    """Lets a supervisor live for so long, and ends it by SIGKILL. The runs in its events; None: there was none.

    What it had sent is read also after its death.
    """
    end, runs = time.monotonic() + seconds, None
    while time.monotonic() < end:
        with suppress(UnreachableError), closing(Connection(str(lab.socket))) as connection:
            for message in connection.ask("events", {"follow": True}, 0.02):
                if message:
                    runs = {*(runs or ()), message["event"].get("run") or ""}
                elif lab.process.poll() is not None:
                    break  # that was all; an errand of an earlier one may hold the line
                if time.monotonic() >= end:
                    lab.end(signal.SIGKILL)
        time.sleep(0.01)  # it is coming up
    lab.end(signal.SIGKILL)
    return runs


def untold(begun: list[set[str]], told: list[set[str] | None]) -> list[set[str]]:
    """The runs that are in no event, by the life in which they began.

    What begins in the last moment of a life may be noted, or told, in the next one. Where one of them was too short to
    be heard, nothing can be said.
    """
    near = [told[max(0, life - 1) : life + 2] for life in range(len(told))]
    return [begun[life] - set().union(*sets) for life, sets in enumerate(near) if None not in sets]


def test_kill_9_at_random_for_a_minute(lab: Lab) -> None:
    rng = random.Random(SEED)
    print(f"KILL_SEED={SEED}")
    lab.write(TASKS.replace("{note}", "echo $SUPERVISOR_RUN >> {dir}/runs").replace("{dir}", str(lab.dir)))
    lab.start()
    lab.up("quiet:1", "quiet:2", "quiet:3", "after")
    steady = {name: noted(lab, name) for name in ("quiet", "after")}
    assert list(map(len, steady.values())) == [3, 1]
    lab.hang_up()
    told: set[int] = set()
    heard: list[set[str] | None] = []
    begun: list[set[str]] = []
    known = set(lines(lab, "runs"))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        heard.append(told_in_a_life(lab, rng.choice((rng.uniform(0, 0.3), rng.uniform(0.2, 1.0)))))
        begun.append(set(lines(lab, "runs")) - known)
        known |= begun[-1]
        told |= recorded(lab)
        assert not (two := doubled(lab)), f"two runs at once: {two}"
        lab.start(wait=False)
    assert not any(gone := untold(begun, [*heard[:-1], None])), f"in no event: {gone}"
    lab.follow()
    wait_for(lambda: not doubled(lab), "nothing is doubled")
    assert {name: noted(lab, name) for name in steady} == steady, "a quiet task was started once more"
    assert all(map(alive, [pid for pids in steady.values() for pid in pids])), "a quiet task was lost"
    assert noted(lab, "frozen") == [], "something started while it was frozen"
    crashes = len(noted(lab, "crash"))
    assert crashes > 2, "those that crash are started again over the deaths"
    wait_for(lambda: len(noted(lab, "crash")) > crashes, "and after the last one")
    lab.end(signal.SIGKILL)
    told |= recorded(lab)
    unknown = {name: set(noted(lab, name)) - told for name in ("crash", "forks", "quiet", "after")}
    assert not any(unknown.values()), f"started, and in no record: {unknown}"
    lab.start()
