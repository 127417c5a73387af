"""The transition table as a picture: every event in every state, and what becomes of the instance.

The table is written out and compared whole: a change of behaviour is a change of this picture. Read a cell so:
`running` it is there then; `.` nothing changes; `=` the same state, but something about it has changed; `X` it cannot
happen, and raises. Behind a state stand the actions: `+Fork`, `+Terminate` …
"""

import typing

import pytest
from core.make import NOW, WEB, event, instance, run

from supervisor.core import events as ev
from supervisor.core.immutable import replace
from supervisor.core.instance import IllegalStepError, Instance, Outcome, become
from supervisor.core.lifecycle import TABLE, step
from supervisor.core.states import ALIVE, EDGES, WAITING, State

KINDS = typing.get_args(ev.Event)

PICTURE = """
             stopped    held               starting             running              stopping       backoff    failed
Want         held       =                  =                    =                    =              held       held
Unwant       .          stopped            =                    =                    =              stopped    stopped
Outdate      .          .                  =                    =                    =              .          .
Redefine     =          =                  =                    =                    =              held       held
Retire       =          stopped            =                    =                    =              stopped    stopped
Admit        X          starting+Fork      X                    X                    X              X          X
Hold         .          .                  .                    .                    .              held       .
Refresh      =          =                  =                    =                    =              =          .
Pause        .          .                  .                    =+Pause              .              .          .
Resume       .          .                  .                    .                    .              .          .
Leave        X          X                  stopping+Terminate   stopping+Terminate   .              X          X
Kill         .          .                  stopping+Destroy     stopping+Destroy     =+Destroy      .          .
Due          X          X                  stopping+Terminate   X                    =+Destroy      held       X
Alarm        .          .                  .                    .                    .              .          .
Stalled      .          .                  =                    =                    =              .          .
Forked       .          .                  =+Go                 X                    =+Destroy      .          .
Started      .          .                  running              X                    =              .          .
Adopted      .          .                  running              .                    .+Terminate    .          .
Paused       .          .                  .                    .                    .              .          .
NotStarted   .          .                  backoff              X                    held           .          .
Notified     .          .                  =                    =                    =              .          .
MainPid      .          .                  =                    =                    =              .          .
Probed       .          .                  .                    .                    .              .          .
Exceeded     .          .                  =                    =                    .              .          .
Exited       .          .                  backoff              backoff              held           .          .
Killed       .          .                  X                    X                    =              .          .
Emptied      .          .                  X                    X                    X              .          .
"""


def cell(kind: type, state: State) -> str:
    before = instance(state)
    try:
        after, actions = step(before, event(kind), NOW)
    except IllegalStepError:
        return "X"
    where = "." if after is before else "=" if after.state is state else str(after.state)
    return "+".join([where, *(type(action).__name__ for action in actions)])


def test_the_table_is_complete():
    assert set(TABLE) == set(KINDS)
    assert all(set(row) == set(State) for row in TABLE.values())


def test_the_picture():
    head, *rows = [line.split() for line in PICTURE.strip().splitlines()]
    states = [State(word) for word in head]
    drawn = {row[0]: row[1:] for row in rows}
    assert list(drawn) == [kind.__name__ for kind in KINDS]
    found = {kind.__name__: [cell(kind, state) for state in states] for kind in KINDS}
    assert found == drawn, "the picture and the table differ"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_deadlines_and_runs_go_with_states(kind: type, state: State):
    """Exactly the waiting states have a deadline, and exactly the living ones have a run."""
    try:
        after, _ = step(instance(state), event(kind), NOW)
    except IllegalStepError:
        return
    assert (after.deadline is not None) == (after.state in WAITING)
    assert (after.run is not None) == (after.state in ALIVE)


@pytest.mark.parametrize("state", sorted(ALIVE), ids=str)
@pytest.mark.parametrize("kind", ev.OF_A_RUN, ids=lambda kind: kind.__name__)
def test_an_answer_for_another_run_is_ignored(kind: type, state: State):
    before = instance(state, run=run(number=4))
    assert step(before, event(kind), NOW) == (before, ())


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", State)
def test_every_step_is_an_edge_or_raises(old: State, new: State):
    deadline = NOW + 1 if new in WAITING else None
    if (old, new) in EDGES:
        assert become(instance(old), new, NOW, deadline).state is new
    else:
        with pytest.raises(IllegalStepError, match=f"{old} -> {new}"):
            become(instance(old), new, NOW, deadline)


@pytest.mark.parametrize(("old", "new"), sorted(EDGES))
def test_a_wrong_deadline_raises(old: State, new: State):
    deadline = None if new in WAITING else NOW + 1
    with pytest.raises(IllegalStepError, match="deadline"):
        become(instance(old), new, NOW, deadline)


def test_living_without_a_run_is_a_bug():
    broken = Instance(instance(State.RUNNING).task, 1, State.RUNNING)
    with pytest.raises(IllegalStepError, match="without a run"):
        step(broken, ev.Leave("stop"), NOW)


# -- what is special in a cell ----------------------------------------------------------------------------------------


def test_the_first_cause_wins():
    stopping = instance(State.STOPPING, run=run(cause="stop requested by ann"))
    after, _ = step(stopping, ev.Kill("the time is over"), NOW)
    assert after.run is not None
    assert after.run.cause == "stop requested by ann"
    twice, _ = step(instance(State.RUNNING, outdated="first"), ev.Outdate("second"), NOW)
    assert twice.outdated == "first"


def test_ready_and_reloading_that_are_read_at_once():
    """On a busy machine both messages are read together: the task is ready and reloads, until the next READY=1."""
    starting = instance(State.STARTING, replace(WEB, ready="notify"))
    both, _ = step(starting, ev.Notified(3, ready=True, reloading=True), NOW)
    assert (both.state, both.run.health.reloading) == (State.RUNNING, True)
    again, _ = step(both, ev.Notified(3, ready=True), NOW)
    assert not again.run.health.reloading


def test_the_first_outcome_wins():
    """A supervisor that adopts the remaining processes of a run knows less about the end of the main process."""
    outcome = Outcome(NOW - 1, "exit 3", success=False, code=3)
    before = instance(State.STOPPING, run=run(outcome=outcome))
    after, _ = step(before, ev.Exited(3, None, empty=False), NOW)
    assert after.run is not None
    assert after.run.outcome == outcome


def test_empty_before_the_leader_has_ended_is_a_bug():
    with pytest.raises(IllegalStepError, match="its leader lives"):
        step(instance(State.STOPPING), ev.Emptied(3), NOW)


@pytest.mark.parametrize(
    ("kills", "wait"), [(0, 1.0), (1, 2.0), (2, 4.0), (5, 32.0), (6, 64.0), (7, 64.0), (5000, 64.0)]
)
def test_sigkill_is_repeated_at_growing_intervals(kills: int, wait: float):
    """Also after days: no number of kills breaks it."""
    after, actions = step(instance(State.STOPPING, run=run(kills=kills)), ev.Due(), NOW)
    assert after.deadline == NOW + wait
    assert len(actions) == 1


def test_an_adopted_stop_sends_the_signal_again_and_keeps_its_grace():
    before = instance(State.STOPPING)
    after, actions = step(before, ev.Adopted(3), NOW)
    assert after == before
    assert len(actions) == 1
    assert before.deadline is not None
    late, actions = step(before, ev.Adopted(3), before.deadline)
    assert late.deadline == before.deadline + WEB.stop.grace, "nobody knows whether it had any of its grace"
    assert len(actions) == 1
    killed = instance(State.STOPPING, run=run(kills=1))
    assert step(killed, ev.Adopted(3), NOW) == (killed, ())


@pytest.mark.parametrize("state", sorted(ALIVE), ids=str)
def test_a_task_removed_from_the_config_cannot_be_wanted(state: State):
    retired = instance(state, retired=True, wanted=False)
    assert step(retired, ev.Want("start", "bob"), NOW) == (retired, ())


def test_an_order_is_for_one_run():
    held, _ = step(instance(State.STOPPED), event(ev.Want), NOW)
    assert held.order is not None
    starting, _ = step(held, ev.Admit("web:1/4@e"), NOW)
    assert starting.order is None
    assert starting.run is not None
    assert starting.run.order == held.order
    assert starting.run.trigger == "manual"
    assert starting.trigger == "restart"


def test_an_unchanged_definition_keeps_the_back_off():
    before = instance(State.BACKOFF)
    after, _ = step(before, ev.Redefine(before.task), NOW)
    assert after == before


def test_the_first_main_process_gave_the_group_its_number():
    """However often MAINPID= changes: a later supervisor must not take that pid for the number of a process group."""
    once, _ = step(instance(State.RUNNING), ev.MainPid(3, 43, 4300), NOW)
    twice, _ = step(once, ev.MainPid(3, 44, 4400), NOW)
    assert once.run is not None
    assert twice.run is not None
    assert [(one.run.pid, one.run.group) for one in (once, twice)] == [(43, 42), (44, 42)]
