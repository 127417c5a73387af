"""What people read about each state: its reason, what happens next, and when."""

import pytest
from core.make import NOW, WEB, config, fleet, instance, run, stamp

from supervisor.core import report
from supervisor.core.definition import GiveUp, Kind
from supervisor.core.freeze import SUPCTL, Freeze
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Outcome
from supervisor.core.roster import Shutdown
from supervisor.core.states import State

GOOD, BAD = Outcome(NOW - 4, "exit 0", success=True, code=0), Outcome(NOW - 4, "exit 1", success=False, code=1)
JOB = replace(WEB, kind=Kind.TRIGGERED, restart="never")

# instance, the column `why`, words of the paragraph of `supctl why`
TOLD = [
    (instance(State.STOPPED, by=""), "not started: autostart = false", "`supctl start web` starts it."),
    (instance(State.STOPPED, JOB, by=""), "waits for a trigger", "`supctl run web` starts it."),
    (instance(State.STOPPED), "stopped by ann", "`supctl start web` starts it."),
    (instance(State.STOPPED, by="its own end", last=GOOD), "ended by itself: exit 0", "`supctl start web` starts it."),
    (instance(State.STOPPED, JOB, last=GOOD), "done", "`supctl run web` starts it."),
    (instance(State.STOPPED, JOB, last=BAD), "exit 1", "`supctl run web` starts it."),
    (instance(State.HELD), "waits for its turn to fork", "It starts as soon as these reasons are gone."),
    (
        instance(State.STARTING),
        "forked, its program is not running yet",
        "If it is not ready at +6s, it is stopped and counts as failed.",
    ),
    (instance(State.RUNNING), "", 'When it ends by itself, it is restarted (restart = "always").'),
    (instance(State.RUNNING, JOB), "", 'When it ends by itself, it stays down (restart = "never").'),
    (instance(State.RUNNING, last=BAD), "", "The last run ended -4s after 0.0 s: exit 1."),
    (
        instance(State.STOPPING),
        "stop requested by ann",
        "At +6s the remaining processes get SIGKILL; when none remains, it is started again.",
    ),
    (
        instance(State.STOPPING, wanted=False, run=run(cause="stop requested by ann", kills=1)),
        "stop requested by ann; sent SIGKILL",
        "At +6s the remaining processes get SIGKILL again; when none remains, it stays down.",
    ),
    (
        instance(State.STOPPING, run=run(outcome=BAD, kills=3)),
        "its main process ended (exit 1), other processes of the run are alive; sent SIGKILL 3 times",
        "it is started again.",
    ),
    (instance(State.BACKOFF), "exit 1", "It is restarted at +6s (in 6.0 s), restart 2 in a row."),
    (instance(State.FAILED, JOB), "exit 1", "Nothing happens by itself: `supctl run web`, or a changed definition"),
    (instance(State.FAILED), "exit 1", "Nothing happens by itself: `supctl start web`, or a changed definition"),
    (
        instance(State.FAILED, replace(WEB, give_up=GiveUp(3, 60), on_give_up="freeze"), failed_at=(NOW - 5,) * 3),
        "gave up: 3 failures within 1m, the last: exit 1",
        "is failed since -4s: gave up: 3 failures within 1m, the last: exit 1; on_give_up = freeze.",
    ),
]


@pytest.mark.parametrize(("one", "why", "paragraph"), TOLD, ids=lambda value: getattr(value, "state", None) or "-")
def test_why(one: Instance, why: str, paragraph: str):
    made = fleet(one)
    assert report.short_reason(made, one) == why
    text = report.why(made, one, NOW, stamp)
    assert text.startswith(f"web is {one.state} since -4s")
    assert paragraph in text


def test_every_state_is_in_the_table():
    assert {one.state for one, _, _ in TOLD} == set(State)


def test_a_run_that_is_about_to_stop():
    """It waits for its dependents; the column has the reason of the stop."""
    one = instance(State.RUNNING, wanted=False)
    assert report.short_reason(fleet(one), one) == "about to stop: stop requested by ann"
    retired = instance(State.RUNNING, wanted=False, retired=True)
    assert report.short_reason(fleet(retired), retired) == "about to stop: removed from the config by ann"


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.STARTING, {"at": "+6s", "what": "stop, if it is not ready"}),
        (State.STOPPING, {"at": "+6s", "what": "SIGKILL"}),
        (State.BACKOFF, {"at": "+6s", "what": "restart"}),
        *((state, None) for state in (State.STOPPED, State.HELD, State.RUNNING, State.FAILED)),
    ],
)
def test_what_comes_next_by_itself(state: State, what: dict[str, str] | None):
    assert report.next_step(instance(state), stamp) == what


@pytest.mark.parametrize("state", State)
def test_status_has_every_key_of_the_contract(state: State):
    one = instance(state)
    made, conf = fleet(one), config(WEB, groups={"all": ("web",), "other": ("web",)})
    [told] = report.status(made, conf, [one], NOW, stamp)
    assert list(told) == [
        "name", "task", "instance", "group", "kind", "state", "wanted", "pid", "run", "since", "uptime_s", "restarts",
        "failures", "health", "ready", "says", "paused", "why", "next", "last_exit", "cpu_percent",
        "memory_bytes", "processes", "progress", "waiting",
    ]  # fmt: skip
    assert told["group"] == "all"
    alive = state in (State.STARTING, State.RUNNING, State.STOPPING)
    assert (told["pid"], told["run"], told["uptime_s"]) == ((42, "web:1/3@e", 5.0) if alive else (None, None, None))
    assert told["ready"] == (state is State.RUNNING)


def test_ready_of_a_triggered_task_is_its_success():
    one = instance(State.STOPPED, JOB, last=GOOD)
    [told] = report.status(fleet(one), config(JOB), [one], NOW, stamp)
    assert told["ready"] is True
    assert told["last_exit"] == {
        "at": "-4s", "code": 0, "signal": None, "core_dumped": False, "reason": "exit 0", "duration_s": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("states", "scopes", "summary"),
    [
        ([], [], "nothing running"),
        ([State.STOPPED], [], "nothing running"),
        ([State.FAILED, State.RUNNING, State.RUNNING, State.HELD], [], "2 running, 1 held, 1 failed"),
        ([State.RUNNING], ["web"], "1 running, partly frozen"),
        ([State.RUNNING], ["web", ""], "1 running, frozen"),
    ],
)
def test_one_line_on_the_fleet(states: list[State], scopes: list[str], summary: str):
    made = fleet(*(instance(state, replace(WEB, name=f"t{number}")) for number, state in enumerate(states)))
    made.freezes = tuple(Freeze(scope, SUPCTL, "root", "now") for scope in scopes)
    assert report.summary(made) == summary


def test_the_supervisors_own_state():
    made = fleet(instance(State.RUNNING, replace(WEB, kind=Kind.STARTUP)))
    assert report.supervisor_state(made) == "starting"
    made = fleet(instance(State.RUNNING))
    assert report.supervisor_state(made) == "running"
    made.shutdown = Shutdown("SIGTERM", None)
    assert report.supervisor_state(made) == "stopping"
    assert report.summary(made) == "1 running, shutting down"


def test_a_freeze_as_json():
    assert report.freeze_json(Freeze("", SUPCTL, "root", "now")) == {
        "scope": "all", "source": "supctl", "by": "root", "since": "now", "until": None, "reason": None,
    }  # fmt: skip


SAMPLE = {"run": "web:1/3@e", "cpu": 12.5, "memory": 4096, "processes": 2}


@pytest.mark.parametrize(
    ("samples", "shown"),
    [
        ({"at": NOW - 10, "every": 15.0, "instances": {"web:1": SAMPLE}}, (12.5, 4096, 2)),
        ({"at": NOW - 61, "every": 15.0, "instances": {"web:1": SAMPLE}}, (None, None, None)),
        ({"at": NOW, "every": 15.0, "instances": {"web:1": SAMPLE | {"run": "web:1/2@e"}}}, (None, None, None)),
        ({"at": NOW, "every": 15.0, "instances": {}}, (None, None, None)),
        ({}, (None, None, None)),
    ],
    ids=["fresh", "out of date", "of another run", "not of this one", "none"],
)
def test_what_a_run_uses(samples, shown):
    one = instance(State.RUNNING)
    made = fleet(one)
    tasks = report.status(made, config(one.task), [one], NOW, stamp)
    report.measured(tasks, samples, NOW)
    assert (tasks[0]["cpu_percent"], tasks[0]["memory_bytes"], tasks[0]["processes"]) == shown
