"""No line is lost when supervisor and scribe are dead at once: also not of a run that ends meanwhile.

KILL_SECONDS=600 KILL_SEED=7 pytest tests/kill        for longer; the moments of a certain run
"""

import os
import random
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.lab import PATIENCE, Lab, alive, wait_for

from supervisor.spawn.notify_holder import ENDS_FOR

SECONDS = float(os.environ.get("KILL_SECONDS", "60")) / 4
SEED = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

DEFAULTS = """
[defaults]
log = { to = "file", format = "raw", max_size = "100G" }
backoff = { initial = "10ms", max = "50ms", jitter = 0 }
"""

LAST_WORDS = """
[task.job]
command = ["sh", "-c", "while ! test -e {dir}/go; do sleep 0.01; done; echo last words; echo of stderr >&2"]
restart = "never"
log = { stderr = "separate" }
"""

NOISY = """
[task.noisy-{number}]
command = ["sh", "-c", '''
for i in 1 2 3; do echo $SUPERVISOR_RUN $i; echo $SUPERVISOR_RUN $i >> {dir}/truth; done
sleep 0.0{number}
''']
"""


def spawner(lab: Lab) -> int:
    """The process from which the tasks are forked: the only child in our session, but for errands, which soon end."""

    def only() -> int:
        names = Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split()
        found = [int(name) for name in names if session(int(name)) == os.getsid(lab.pid)]
        return found[0] if len(found) == 1 else 0

    return int(wait_for(only))


def session(pid: int) -> int:
    """0 for one that is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def nothing(_: Lab) -> None:
    """As it is."""


def another_spawner(lab: Lab) -> None:
    """The one that was there has died, and there is a new one at once."""
    old = spawner(lab)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: spawner(lab) != old)


def upgraded(lab: Lab) -> None:
    """What is held is held over an exec."""
    lab.ctl("upgrade")


def many_starts(lab: Lab) -> None:
    """So many that what is held no more was taken back."""
    wait_for(lambda: lab.tasks()["crash"]["restarts"] > 150)


@pytest.mark.parametrize("before", [nothing, another_spawner, upgraded, many_starts])
def test_last_output_is_kept_while_both_are_dead(lab: Lab, before: Callable[[Lab], None]) -> None:
    """Every process that had the FIFO open has ended before anything reads it."""
    more = '[task.other]\ncommand = "sleep 1000"\n[task.crash]\ncommand = "false"\nbackoff = { max = "10ms" }\n'
    lab.start(DEFAULTS + LAST_WORDS.replace("{dir}", str(lab.dir)) + more)
    job = lab.up("job", "other")["job"]
    before(lab)
    lab.ctl("stop", "crash")
    lab.hang_up()
    scribe = wait_for(lab.scribe)
    stays = spawner(lab)
    os.kill(lab.pid, signal.SIGSTOP)
    os.kill(scribe, signal.SIGKILL)
    lab.end(signal.SIGKILL)
    (lab.dir / "go").touch()
    wait_for(lambda: not alive(job), "it has said its last words, and is gone")
    assert alive(stays), "it holds them"
    lab.start()
    log = lab.dir / "log"
    wait_for(lambda: (log / "job.log").read_bytes() == b"last words\n" if (log / "job.log").exists() else False)
    wait_for(lambda: (log / "job.err.log").read_bytes() == b"of stderr\n" if (log / "job.err.log").exists() else False)
    wait_for(lambda: not alive(stays), "it is not needed any more")


def test_the_holder_ends_when_nothing_is_left_to_hold(lab: Lab) -> None:
    """No supervisor comes back: @scribe reads everything, then no process is left."""
    lab.start(DEFAULTS + LAST_WORDS.replace("{dir}", str(lab.dir)))
    lab.up("job")
    lab.hang_up()
    wait_for(lab.scribe)
    stays = spawner(lab)
    lab.end(signal.SIGKILL)
    assert alive(stays)
    ends = os.pidfd_open(stays)
    (lab.dir / "go").touch()
    ended, _, _ = select.select([ends], [], [], ENDS_FOR + PATIENCE)  # it keeps how the runs ended for so long
    os.close(ends)
    assert ended
    assert (lab.dir / "log" / "job.log").read_bytes() == b"last words\n"


def test_kill_9_of_both_at_random(lab: Lab) -> None:
    """Each line that a task knows it wrote is in the file once, whatever was dead when it was written."""
    rng = random.Random(SEED)
    print(f"KILL_SEED={SEED}")
    tasks = "".join(NOISY.replace("{dir}", str(lab.dir)).replace("{number}", str(number)) for number in range(1, 7))
    lab.start(DEFAULTS + tasks)
    lab.hang_up()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(rng.choice((rng.uniform(0, 0.3), rng.uniform(0.2, 1.0))))  # the moment itself is what is tried
        victims = [scribe] if (scribe := lab.scribe()) and rng.random() < 0.8 else []
        victims.insert(rng.randrange(len(victims) + 1), lab.pid)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        lab.end(signal.SIGKILL)
        time.sleep(rng.uniform(0, 0.2))
        lab.start(wait=False)
    lab.follow()
    lab.ctl("stop", "noisy-*")
    wait_for(lambda: not lab.unread())
    lab.hang_up()
    lab.end()
    truth = (lab.dir / "truth").read_text().splitlines()
    said = [line for path in (lab.dir / "log").glob("*.log") for line in path.read_text().splitlines()]
    assert sorted(set(truth) - set(said)) == [], "lost"
    assert len(said) == len(set(said)), "doubled"


BEHIND = """
[task.job]
kind = "triggered"
command = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $SUPERVISOR_RUN $i; done"]
log = { to = "file" }
"""


@pytest.mark.parametrize("first", ["the supervisor", "the spawner"])
@pytest.mark.parametrize("scribe_too", [False, True], ids=["scribe goes on", "scribe is replaced"])
def test_runs_that_scribe_has_not_seen_yet_outlive_supervisor_and_spawner(
    lab: Lab, first: str, scribe_too: bool
) -> None:
    """Their FIFOs are open only in a message that is under way: @scribe has the other end of the socket."""
    lab.start(DEFAULTS + BEHIND)
    scribe, stays = wait_for(lab.scribe), spawner(lab)
    lab.ctl("run", "job", "--wait")
    wait_for(lambda: not lab.unread(), "@scribe is at work")
    os.kill(scribe, signal.SIGSTOP)
    runs = {lab.ctl("run", "job", "--wait", "--json").json["instances"][0]["run"] for _ in range(3)}
    lab.hang_up()
    if first == "the spawner":
        os.kill(lab.pid, signal.SIGSTOP)
        os.kill(stays, signal.SIGKILL)
        lab.end(signal.SIGKILL)
    else:
        lab.end(signal.SIGKILL)
        wait_for(lambda: _is_silent(stays), "the spawner has seen the end of the supervisor")
        os.kill(stays, signal.SIGKILL)
    wait_for(lambda: not alive(stays))
    if not scribe_too:
        os.kill(scribe, signal.SIGCONT)
    lab.start()
    wanted = {f"{run} {number}" for run in runs for number in range(1, 9)}
    log = lab.dir / "log" / "job.log"
    wait_for(lambda: wanted <= set(log.read_text().splitlines()), "no line of them is lost")


def _is_silent(pid: int) -> bool:
    """Whether it has let go of the output of its supervisor, which it does when that is gone."""
    return os.readlink(f"/proc/{pid}/fd/2") == os.devnull
