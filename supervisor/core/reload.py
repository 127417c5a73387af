"""What a new config changes: found first, as data, and applied as a whole or not at all.

A process is replaced only when its own definition changed in a key that it was made from (`definition.IDENTITY`).
Restart policy, grace, dependencies, freeze and the like change in place. A triggered or start-up task that is
running finishes with the definition that it began with.
"""

from __future__ import annotations

from collections.abc import Collection

from supervisor.core import events as ev
from supervisor.core.definition import Config, Kind, Limits, Settings, Task, same_process
from supervisor.core.fleet import Fleet, new_instances
from supervisor.core.immutable import immutable, names_of, replace
from supervisor.core.states import ALIVE

AT_START = ("runtime_dir", "state_dir", "socket_group", "socket_mode")
"""Settings that a running supervisor cannot change under itself."""

LOG_DIR = "log_dir"
"""The setting that is told as a change of each task that writes there, as it is one to whoever reads its log."""


@immutable
class Plan:
    """What a reload does, by task: names, and the keys that changed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: dict[str, tuple[str, ...]]  # in place
    restarted: dict[str, tuple[str, ...]]  # with new processes
    unchanged: tuple[str, ...]
    limited: tuple[str, ...]  # groups with other limits
    at_next_start: tuple[str, ...]  # keys of [supervisor] that take effect when the supervisor is started again

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.restarted or self.limited or self.at_next_start)


def compare(old: Config, new: Config, up: Collection[str]) -> Plan:
    """What becomes different. `up`: the tasks that are up or wanted so, which a new definition may have to restart."""
    differing = {name: _differing(old.tasks[name], task) for name, task in new.tasks.items() if name in old.tasks}
    moved = old.settings.log_dir != new.settings.log_dir
    for name, keys in differing.items():
        if moved and new.tasks[name].log.to == "file":
            differing[name] = (*keys, LOG_DIR)
    anew = {
        name: keys
        for name, keys in differing.items()
        if name in up and new.tasks[name].kind is Kind.CONTINUOUS and not same_process(old.tasks[name], new.tasks[name])
    }
    return Plan(
        added=tuple(name for name in new.tasks if name not in old.tasks),
        removed=tuple(name for name in old.tasks if name not in new.tasks),
        changed={name: keys for name, keys in differing.items() if keys and name not in anew},
        restarted=anew,
        unchanged=tuple(name for name, keys in differing.items() if not keys),
        limited=tuple(name for name, group in new.groups.items() if group.limits != _limits_of(old, name)),
        at_next_start=tuple(key for key in AT_START if getattr(old.settings, key) != getattr(new.settings, key)),
    )


def apply(fleet: Fleet, plan: Plan, new: Config, by: str, now: float) -> None:
    """Carries out a plan; `new` is what it was made from."""
    for name in plan.removed:
        for key in [i.key for i in fleet.copies(name)]:
            fleet.note(key, ev.Retire(by), now)
    for name in (*plan.changed, *plan.restarted, *plan.added):
        if plan.changed.get(name) == (LOG_DIR,):
            continue  # no part of its definition: it clears no give-up
        redefine(fleet, new.tasks[name], by, now)
    for name in plan.restarted:
        reason = f"definition changed by {by}: {', '.join(plan.restarted[name])}"
        for key in [i.key for i in fleet.copies(name) if i.state in ALIVE]:
            fleet.note(key, ev.Outdate(reason), now)
    fleet.connect(new)
    fleet.settle(now)


def redefine(fleet: Fleet, task: Task, by: str, now: float) -> None:
    """Gives the copies of a task a new definition, and makes them as many as it says. For `supctl scale` too.

    What follows from it waits for `connect` and `settle`: a half of a new config must stop nobody.
    """
    old = list(fleet.copies(task.name))
    staying = {i.index for i in old if not i.retired}
    becomes_continuous = task.kind is Kind.CONTINUOUS and any(i.task.kind is not Kind.CONTINUOUS for i in old)
    wanted = any(i.wanted for i in old) if staying and not becomes_continuous else task.autostart
    for instance in old:
        fleet.note(instance.key, ev.Redefine(task), now)
        if instance.index > task.replicas:
            fleet.note(instance.key, ev.Retire(by), now)
    for instance in new_instances(task, now):
        if instance.index in staying and not becomes_continuous:
            continue
        if instance.key not in fleet.instances:
            fleet.add(instance)
        if wanted:
            fleet.note(instance.key, ev.Want("start", by), now)


def settled(settings: Settings, running: Settings) -> Settings:
    """New settings, with those that take effect only at a start as they were at the start."""
    return replace(settings, **{key: getattr(running, key) for key in AT_START})


def _differing(old: Task, new: Task) -> tuple[str, ...]:
    names = (name for name in names_of(Task) if name != "where")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def _limits_of(config: Config, group: str) -> Limits:
    return config.groups[group].limits if group in config.groups else Limits()
