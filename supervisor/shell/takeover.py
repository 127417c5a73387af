"""Coming up: the parent adopts what an earlier supervisor left, adds what is new, and starts what should be up.

There is one way to come up. A first start finds nothing to adopt. A crash, an upgrade and a restart find tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core import events as ev
from supervisor.core.definition import Kind, Task, identity
from supervisor.core.fleet import new_instances
from supervisor.core.lifecycle import ORPHANED
from supervisor.core.states import ALIVE
from supervisor.shell import breaches, manifest
from supervisor.shell.journaling import SHUTDOWN
from supervisor.store.journal import instance_of

if TYPE_CHECKING:
    from supervisor.core.instance import Run
    from supervisor.shell.context import Context
    from supervisor.shell.parent import Parent


def take_over(parent: Parent, facts: dict[str, dict[str, Any]], kept: dict[str, Any] | None, packed: str = "") -> None:
    """Come up.

    Args:
        parent: the parent, over an empty fleet.
        facts: the journal; empty at a first start.
        kept: the freezes in the state directory; None when there is no file of them.
        packed: the config in force, as `store.lastgood` keeps it.
    """
    context = parent.context
    fleet, now = context.fleet, context.host.now()
    parent.ended_runs.restore(facts)
    parent.firing_runs.restore(facts)
    parent.firing_runs.own.restore(facts)
    parent.pool_holders.restore(facts)
    parent.freezes.restore(facts.get("fleet freezes"), kept)
    parent.freezes.apply_config(context.config)
    if SHUTDOWN in facts:
        context.journaling.facts.append({"fleet": "shutdown", "gone": True})  # a start ends the shutdown before it
    parent.config_in_force.record(packed)
    parent.config_in_force.restore(_named(facts, "scales"))
    fleet.numbered |= {key: one for key, one in _named(facts, "numbers").items() if isinstance(one, int)}
    helpers = parent.helpers.needed()
    adopted = (_adopt(context, fact, helpers, now) for fact in facts.values() if "instance" in fact)
    ended = [key for key in adopted if key]
    parent.firing_runs.adopted()
    for task in context.config.tasks.values():
        _add_missing(context, task, now)
    manifest.publish(context)
    parent.helpers.start(now)
    fleet.connect(context.config)
    parent.overdue.restore(facts)
    for key in ended:
        run = fleet.instances[key].run
        if run:
            fleet.step(key, _end_of(context, key, run), now)
    fleet.propagate(now)
    parent.config_in_force.begin()
    parent.alerts.restore(facts)
    parent.losses.restore(facts)
    breaches.read(context)
    context.host.watch(context.config.watched)


def _end_of(context: Context, key: str, run: Run) -> ev.Event:
    """Return the event for a run that is over. That of a firing may never have begun, which its own note tells."""
    if not _begun(context, key, run):
        return ev.NotStarted(run.number, ORPHANED, orphaned=True)
    return ev.Exited(run.number, context.host.post_mortem(run), empty=True)


def _begun(context: Context, key: str, run: Run) -> bool:
    """Return whether a run got its go byte. Only the run of a firing notes that; any other run counts as begun."""
    firing = run.order.firing if run.order else ""
    return not firing or run.program or context.host.began(key, run)


def _named(facts: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return what a fact of the fleet has by the names of tasks or instances; nothing when it is damaged."""
    found = facts.get(f"fleet {name}", {}).get(name)
    return found if isinstance(found, dict) else {}


def _adopt(context: Context, fact: dict[str, Any], helpers: dict[str, Task], now: float) -> str:
    """Put one instance of an earlier supervisor into the fleet. Return its key if its run has ended unseen, else ""."""
    host, fleet, name = context.host, context.fleet, fact["instance"]
    task = helpers.get(name) or context.config.tasks.get(name.rpartition(":")[0])
    try:
        instance = instance_of(fact, task)
    except (KeyError, TypeError, ValueError) as error:
        host.log("error", f"the journal's record of {name} is not usable: {error!r}")
        if isinstance(runs := fact.get("runs"), int):
            fleet.numbered[name] = runs
        context.journaling.facts.append({"instance": name, "gone": True})
        return ""
    alive = bool(instance.run and instance.run.pid and host.adopt(instance.key, instance.run))
    if task is None and instance.run is None:
        context.journaling.facts.append({"instance": name, "gone": True})
        return ""
    fleet.add(instance)
    if task is None or instance.index > task.replicas:
        fleet.step(instance.key, ev.Retire("the new config"), now)
    if alive and instance.run:
        host.log("info", f"{instance.name}: adopted (pid {instance.run.pid}, run {instance.run.id})")
        context.announcer.event("adopted", name=instance.name, run=instance.run.id, pid=instance.run.pid)
        begun = _begun(context, instance.key, instance.run)
        fleet.step(instance.key, ev.Adopted(instance.run.number, begun), now)  # a child that waited has ended by now
        if task and task.kind is Kind.CONTINUOUS and instance.run.made_from != identity(task):
            fleet.step(instance.key, ev.Outdate("its definition changed while no supervisor ran"), now)
        if instance.task.helper:
            fleet.step(instance.key, ev.Outdate("it writes to the stdout of an earlier supervisor"), now)
        return ""
    return instance.key if instance.state in ALIVE else ""


def _add_missing(context: Context, task: Task, now: float) -> None:
    """Add the instances of a task that no earlier supervisor left."""
    there = {instance.index for instance in context.fleet.copies(task.name)}
    for instance in new_instances(task, now):
        if instance.index not in there:
            context.fleet.add(instance)
            if task.autostart and task.kind is not Kind.TRIGGERED:
                context.fleet.step(instance.key, ev.Want("start", "the supervisor"), now)
