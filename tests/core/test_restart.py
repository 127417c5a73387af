"""What follows the end of a run, as one table: restart policy × kind × how it ended → the next state.

As systemd.service(5) documents Restart= and OTP its child specifications. Rows are kinds and policies, columns the
ends: exit 0 and 1, exit 3 and SIGUSR1 (both listed in success_exit), SIGTERM and SIGKILL (from somebody else), an
end that nobody saw, a program that could not be started.
"""

import pytest
from core.make import NOW, SMOOTH, WEB, instance, run

from supervisor.core import backoff
from supervisor.core import events as ev
from supervisor.core.definition import Backoff, GiveUp, Kind, Restart
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance
from supervisor.core.lifecycle import step
from supervisor.core.states import State

ENDS = {
    "0": ev.Exited(3, ev.Status(0), empty=True),
    "1": ev.Exited(3, ev.Status(1), empty=True),
    "3*": ev.Exited(3, ev.Status(3), empty=True),
    "USR1*": ev.Exited(3, ev.Status(None, "SIGUSR1"), empty=True),
    "TERM": ev.Exited(3, ev.Status(None, "SIGTERM"), empty=True),
    "KILL": ev.Exited(3, ev.Status(None, "SIGKILL", core_dumped=True), empty=True),
    "unseen": ev.Exited(3, None, empty=True),
    "cannot": ev.NotStarted(3, "exec: No such file or directory"),
}

BY_ITSELF = """
                         0        1        3*       USR1*    TERM     KILL     unseen   cannot
continuous always        backoff  backoff  backoff  backoff  backoff  backoff  backoff  backoff
continuous on-failure    stopped  backoff  stopped  stopped  backoff  backoff  backoff  backoff
continuous never         stopped  failed   stopped  stopped  failed   failed   failed   backoff
triggered  always        backoff  backoff  backoff  backoff  backoff  backoff  backoff  backoff
triggered  on-failure    stopped  backoff  stopped  stopped  backoff  backoff  backoff  backoff
triggered  never         stopped  stopped  stopped  stopped  stopped  stopped  stopped  stopped
startup    always        backoff  backoff  backoff  backoff  backoff  backoff  backoff  backoff
startup    on-failure    stopped  backoff  stopped  stopped  backoff  backoff  backoff  backoff
startup    never         stopped  failed   stopped  stopped  failed   failed   failed   backoff
"""

SUCCESS = {"0", "3*", "USR1*"}


def rows(table: str) -> list[tuple[Kind, Restart, dict[str, str]]]:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    return [(Kind(kind), Restart(policy), dict(zip(head, cells, strict=True))) for kind, policy, *cells in lines]


CASES = [
    pytest.param(kind, policy, end, state, id=f"{kind}-{policy}-{end}")
    for kind, policy, cells in rows(BY_ITSELF)
    for end, state in cells.items()
]


def running(kind: Kind, policy: Restart, end: str, **changes: object) -> Instance:
    task = replace(WEB, kind=kind, restart=policy, success_exit=(0, 3, "SIGUSR1"))
    return instance(State.STARTING if end == "cannot" else State.RUNNING, task, **changes)


def test_the_table_has_every_case():
    assert {(kind, policy) for kind, policy, _ in rows(BY_ITSELF)} == {(k, r) for k in Kind for r in Restart}
    assert all(set(cells) == set(ENDS) for _, _, cells in rows(BY_ITSELF))


@pytest.mark.parametrize(("kind", "policy", "end", "state"), CASES)
def test_ended_by_itself(kind: Kind, policy: Restart, end: str, state: str):
    after, actions = step(running(kind, policy, end), ENDS[end], NOW)
    assert after.state == state
    assert actions == ()
    assert after.wanted == (state != "stopped")
    assert after.last is not None
    assert after.last.success == (end in SUCCESS)
    assert after.failures == (0 if end in SUCCESS else 1)


@pytest.mark.parametrize(("kind", "policy", "end", "_"), CASES)
def test_a_requested_stop(kind: Kind, policy: Restart, end: str, _: str):
    """Whatever the policy and the end: a stopped task stays stopped, and a task that is wanted again is held."""
    down, _ = step(running(kind, policy, end, wanted=False), ENDS[end], NOW)
    assert down.state is State.STOPPED
    stopping = running(kind, policy, end)
    stopping, _ = step(stopping, ev.Leave("requires db, which is stopping"), NOW)
    again, _ = step(stopping, ENDS[end], NOW)
    assert again.state is State.HELD
    outdated, _ = step(running(kind, policy, end, outdated="restart requested"), ENDS[end], NOW)
    assert outdated.state is State.HELD
    assert (outdated.outdated, outdated.failures, outdated.failed_at) == ("", 0, ())


@pytest.mark.parametrize(("kind", "policy", "end", "_"), CASES)
def test_a_run_stopped_as_failed_has_failed(kind: Kind, policy: Restart, end: str, _: str):
    """Not ready in time is a failure, also if the run then ends with a success code."""
    late, _ = step(running(kind, policy, "cannot"), ev.Due(), NOW)
    after, _ = step(late, ENDS[end], NOW)
    assert after.last is not None
    assert after.last.reason.startswith("not ready within 30 s; ")
    assert not after.last.success
    again = policy is not Restart.NEVER
    assert after.state == ("backoff" if again else "stopped" if kind is Kind.TRIGGERED else "failed")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("1", "exit 1"),
        ("TERM", "killed by SIGTERM"),
        ("KILL", "killed by SIGKILL (core dumped)"),
        ("unseen", "ended unseen, exit status unknown"),
        ("cannot", "cannot start: exec: No such file or directory"),
    ],
)
def test_how_it_ended_in_words(end: str, reason: str):
    after, _ = step(running(Kind.CONTINUOUS, Restart.ALWAYS, end), ENDS[end], NOW)
    assert after.last is not None
    assert (after.last.reason, after.last.duration, after.last.at) == (reason, 5.0, NOW)


# -- back-off ---------------------------------------------------------------------------------------------------------

GROWING = """
policy                                1      2      3      4      5      100    5000
initial=0.1 factor=2 max=60           0.1    0.2    0.4    0.8    1.6    60     60
initial=1 factor=1 max=60             1      1      1      1      1      1      1
initial=5 factor=10 max=30            5      30     30     30     30     30     30
initial=0 factor=2 max=60             0      0      0      0      0      0      60
"""


@pytest.mark.parametrize("line", GROWING.strip().splitlines()[1:])
def test_delays_grow(line: str):
    """A factor that overflows is the maximum, not a crash."""
    *pairs, a, b, c, d, e, f, g = line.split()
    policy = Backoff(jitter=0.0, **{key: float(value) for key, value in (pair.split("=") for pair in pairs)})
    found = [backoff.delay(policy, streak, "web:1/1@e") for streak in (1, 2, 3, 4, 5, 100, 5000)]
    assert found == pytest.approx([float(x) for x in (a, b, c, d, e, f, g)])


def test_jitter_spreads_within_its_bounds():
    policy = Backoff(initial=10.0, jitter=0.1)
    delays = [backoff.delay(policy, 1, f"web:{number}/1@e") for number in range(1000)]
    assert 9.0 <= min(delays) < 9.1
    assert 10.9 < max(delays) <= 11.0
    assert backoff.delay(policy, 1, "web:7/1@e") == delays[7], "the same history gives the same delays"
    assert backoff.delay(Backoff(initial=1.0, jitter=3.0), 1, "web:1/1@e") >= 0.0


def test_a_long_run_resets_the_back_off():
    short = instance(State.RUNNING, streak=4, failures=4, run=run(began=NOW - 9.9))
    assert step(short, ENDS["1"], NOW)[0].streak == 5
    long = instance(State.RUNNING, streak=4, failures=4, run=run(began=NOW - 10))
    after, _ = step(long, ENDS["1"], NOW)
    assert (after.streak, after.failures) == (1, 1)
    assert after.deadline == NOW + SMOOTH.initial


def test_without_a_delay_it_is_held_at_once():
    task = replace(WEB, backoff=Backoff(initial=0.0))
    assert step(instance(State.RUNNING, task), ENDS["1"], NOW)[0].state is State.HELD
    assert step(instance(State.STARTING, task), ENDS["cannot"], NOW)[0].state is State.HELD


# -- give up ----------------------------------------------------------------------------------------------------------

WINDOWS = """
policy  failed before, seconds ago   now        failures that count
3/60    -                            backoff    1
3/60    50                           backoff    2
3/60    50,40                        failed     3
3/60    61,40                        backoff    2
3/60    60,40                        failed     3
1/1     -                            failed     1
"""


@pytest.mark.parametrize("line", WINDOWS.strip().splitlines()[1:])
def test_give_up(line: str):
    policy, before, state, count = line.split()
    failures, within = policy.split("/")
    task = replace(WEB, give_up=GiveUp(int(failures), float(within)))
    failed_at = tuple(NOW - float(ago) for ago in before.split(",") if ago != "-")
    after, _ = step(instance(State.RUNNING, task, failed_at=failed_at), ENDS["1"], NOW)
    assert (after.state, len(after.failed_at)) == (state, int(count))


def test_a_success_never_gives_up():
    """Not even when a reload has lowered the number of failures meanwhile."""
    task = replace(WEB, give_up=GiveUp(1, 60))
    after, _ = step(instance(State.RUNNING, task, failed_at=(NOW - 1, NOW - 2)), ENDS["0"], NOW)
    assert after.state is State.BACKOFF


@pytest.mark.parametrize("state", [State.FAILED, State.BACKOFF])
def test_what_clears_a_row_of_failures(state: State):
    before = instance(state, failures=9, streak=9, failed_at=(NOW,), restarts=9)
    for what in (ev.Want("start", "bob"), ev.Redefine(replace(WEB, command=("v2",))), ev.Unwant("bob")):
        after, _ = step(before, what, NOW)
        assert (after.failures, after.streak, after.failed_at, after.restarts) == (0, 0, (), 0)
