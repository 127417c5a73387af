"""Instances in any state, and fleets of them, for the tables."""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.definition import Backoff, Config, GiveUp, Group, Settings, StopPolicy, Task
from supervisor.core.fleet import Fleet
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Order, Outcome, Run
from supervisor.core.states import ALIVE, WAITING, State

NOW = 1000.0
SMOOTH = Backoff(jitter=0.0)
WEB = Task("web", command=("serve",), backoff=SMOOTH, stop=StopPolicy(grace=7.0), start_timeout=30.0)


def run(**changes: object) -> Run:
    return replace(Run(3, "web:1/3@e", "start", 1, NOW - 5, pid=42, birth=4200), **changes)  # type: ignore[arg-type]


def instance(state: State, task: Task = WEB, **changes: object) -> Instance:
    """One in this state that could have come there."""
    made = Instance(task, 1, state, wanted=state is not State.STOPPED, since=NOW - 4, runs=3, by="ann")
    if state in ALIVE:
        cause = "stop requested by ann" if state is State.STOPPING else ""
        made = replace(made, run=run(cause=cause, program=state is not State.STARTING))
    if state in WAITING:
        made = replace(made, deadline=NOW + 6)
    if state in (State.BACKOFF, State.FAILED):
        made = replace(made, last=Outcome(NOW - 4, "exit 1", success=False, code=1, duration=1.0), failures=1, streak=1)
    return replace(made, **changes)  # type: ignore[arg-type]


def event(kind: type) -> ev.Event:
    """One of each kind; those that answer for a run answer for the one that `run` makes."""
    made: dict[type, ev.Event] = {
        ev.Want: ev.Want("manual", "bob", Order(("full",))),
        ev.Unwant: ev.Unwant("bob"),
        ev.Outdate: ev.Outdate("restart requested by bob"),
        ev.Redefine: ev.Redefine(replace(WEB, command=("serve", "v2"), give_up=GiveUp(9, 9))),
        ev.Retire: ev.Retire("bob"),
        ev.Admit: ev.Admit("web:1/4@e"),
        ev.Hold: ev.Hold(),
        ev.Refresh: ev.Refresh(),
        ev.Pause: ev.Pause("bob", "+0s"),
        ev.Resume: ev.Resume("bob"),
        ev.Leave: ev.Leave("stop requested by bob"),
        ev.Kill: ev.Kill("the time is over"),
        ev.Due: ev.Due(),
        ev.Alarm: ev.Alarm(),
        ev.Stalled: ev.Stalled(8.0),
        ev.Forked: ev.Forked(3, 42, 4200),
        ev.Started: ev.Started(3),
        ev.Adopted: ev.Adopted(3),
        ev.Paused: ev.Paused(3),
        ev.NotStarted: ev.NotStarted(3, "chdir /srv: No such file or directory"),
        ev.Notified: ev.Notified(3, ready=True, status="serving"),
        ev.MainPid: ev.MainPid(3, 43, 4300),
        ev.Probed: ev.Probed(3, ok=True),
        ev.Exceeded: ev.Exceeded(3, "memory limit 512M"),
        ev.Exited: ev.Exited(3, ev.Status(1), empty=True),
        ev.Killed: ev.Killed(3, ("sleep (pid 43)",)),
        ev.Emptied: ev.Emptied(3),
    }
    return made[kind]


def config(*tasks: Task, groups: dict[str, tuple[str, ...]] | None = None, **settings: object) -> Config:
    defaults = {"name": "vm", "runtime_dir": "/run/s", "state_dir": "/var/s", "log_dir": "/log/s"}
    return Config(
        "conf",
        Settings(**(defaults | settings)),  # type: ignore[arg-type]
        {task.name: task for task in tasks},
        {name: Group(name, members) for name, members in (groups or {}).items()},
    )


def fleet(*instances: Instance, groups: dict[str, tuple[str, ...]] | None = None) -> Fleet:
    made = Fleet("e")
    for one in instances:
        made.add(one)
    tasks = {one.task.name: one.task for one in instances if not one.task.helper}
    made.connect(config(*tasks.values(), groups=groups))
    return made


def stamp(at: float) -> str:
    """Moments as "+6s"."""
    return f"{at - NOW:+g}s"
