"""Find the changes of a new config, as data, and apply them as a whole or not at all.

A reload replaces a process only when its own definition changed in a key that it was made from (`definition.IDENTITY`).
Restart policy, grace, dependencies, freeze and similar keys change in place. A triggered or start-up task that runs
finishes with the definition with which it began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from supervisor.core import events as ev
from supervisor.core.definition import Config, Kind, Limits, MachineError, Settings, Task, same_process
from supervisor.core.fleet import Fleet, new_instances
from supervisor.core.immutable import immutable, names_of, replace
from supervisor.core.states import ALIVE

AT_START = ("runtime_dir", "state_dir", "socket_group", "socket_mode")
"""Settings that a running supervisor cannot change."""

LOG_DIR = "log_dir"
"""A reload reports a change of this setting for each task that writes there: readers of its log are concerned."""


@immutable
class Plan:
    """The changes of a reload, by task: names, and the keys that changed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: dict[str, tuple[str, ...]]  # in place
    restarted: dict[str, tuple[str, ...]]  # with new processes
    unchanged: tuple[str, ...]
    limited: tuple[str, ...]  # groups with other limits
    pools: tuple[str, ...]  # those that are new, gone, or have other slots
    at_next_start: tuple[str, ...]  # keys of [supervisor] that take effect when the supervisor is started again

    def __bool__(self) -> bool:
        shared = self.limited or self.pools
        return bool(self.added or self.removed or self.changed or self.restarted or shared or self.at_next_start)


def compare(old: Config, new: Config, up: Collection[str]) -> Plan:
    """Return the changes. `up`: the tasks that are up or wanted up, which a new definition may have to restart."""
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
        pools=tuple(name for name in (old.pools | new.pools) if _slots_of(old, name) != _slots_of(new, name)),
        at_next_start=tuple(key for key in AT_START if getattr(old.settings, key) != getattr(new.settings, key)),
    )


def sort_out(
    errors: Iterable[MachineError], plan: Plan, old: Config, new: Config
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the errors of the machine that refuse this reload, and those that are only warnings.

    A new or changed task or setting would be broken from the start, so such an error refuses the reload. Unchanged ones
    lost what they need while they were in force. They continue or wait, and must not block a change of other tasks.
    """
    touched = {*plan.added, *plan.changed, *plan.restarted}
    touched.update(*(new.groups[name].tasks for name in plan.limited))
    refusing: list[str] = []
    harmless: list[str] = []
    for error in errors:
        other = error.setting and getattr(old.settings, error.setting) != getattr(new.settings, error.setting)
        (refusing if other or not touched.isdisjoint(error.tasks) else harmless).append(error.text)
    return tuple(refusing), tuple(harmless)


def apply(fleet: Fleet, plan: Plan, new: Config, by: str, now: float) -> None:
    """Carry out a plan; `new` is the config that it was made from."""
    for name in plan.removed:
        for key in [i.key for i in fleet.copies(name)]:
            fleet.step(key, ev.Retire(by), now)
    for name in (*plan.changed, *plan.restarted, *plan.added):
        if plan.changed.get(name) == (LOG_DIR,):
            continue  # not a part of its definition: this change clears no give-up
        redefine(fleet, new.tasks[name], by, now)
    for name in plan.restarted:
        reason = f"definition changed by {by}: {', '.join(plan.restarted[name])}"
        for key in [i.key for i in fleet.copies(name) if i.state in ALIVE]:
            fleet.step(key, ev.Outdate(reason), now)
    fleet.connect(new)
    fleet.propagate(now)


def redefine(fleet: Fleet, task: Task, by: str, now: float) -> None:
    """Give the instances of a task a new definition, and set their number. `supctl scale` uses it, too.

    The consequences wait for `connect` and `propagate`: an incomplete new config must stop no task.
    """
    old = list(fleet.copies(task.name))
    staying = {i.index for i in old if not i.retired}
    becomes_continuous = task.kind is Kind.CONTINUOUS and any(i.task.kind is not Kind.CONTINUOUS for i in old)
    wanted = any(i.wanted for i in old) if staying and not becomes_continuous else task.autostart
    wanted = wanted and task.kind is not Kind.TRIGGERED  # it runs when it is triggered
    for instance in old:
        fleet.step(instance.key, ev.Redefine(task), now)
        if instance.index > task.replicas:
            fleet.step(instance.key, ev.Retire(by), now)
    for instance in new_instances(task, now):
        if instance.index in staying and not becomes_continuous:
            continue
        if instance.key not in fleet.instances:
            fleet.add(instance)
        if wanted:
            fleet.step(instance.key, ev.Want("start", by), now)


def effective(settings: Settings, running: Settings) -> Settings:
    """Return the new settings, but keep those that take effect only at a start as they were at the start."""
    return replace(settings, **{key: getattr(running, key) for key in AT_START})


def _differing(old: Task, new: Task) -> tuple[str, ...]:
    names = (name for name in names_of(Task) if name != "where")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def _slots_of(config: Config, pool: str) -> int:
    return config.pools[pool].slots if pool in config.pools else 0


def _limits_of(config: Config, group: str) -> Limits:
    return config.groups[group].limits if group in config.groups else Limits()
