"""The types of `limits`. A limit that the kernel would refuse is an error here, not at the start of the task."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterable
from typing import Any

from supervisor.config.errors import ErrorKind, Missing, Problem, Wrong
from supervisor.config.key import Type
from supervisor.config.machine import Machine, Scope, processors
from supervisor.config.messages import quote, show
from supervisor.core.controllers import CONTROLLERS
from supervisor.core.definition import Limits

_PROCESSORS = 'allowed: numbers of processors, such as [0, 1] or "0-3,8"'
_RANGES = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*", re.ASCII)
_PRIORITIES = 'allowed: 0 (first) to 7 (last), "idle"'


def below_hard(name: str, inner: Type) -> Type:
    """Return the type of a limit that only root may set above the supervisor's own hard limit."""
    number = getattr(resource, f"RLIMIT_{name}")

    def parse(value: object, scope: Scope) -> Any:  # noqa: ANN401 - what the inner type makes
        wanted = inner.parse(value, scope)
        hard = resource.getrlimit(number)[1]
        if scope.machine.uid and hard != resource.RLIM_INFINITY and wanted > hard:
            raise Wrong(
                f"{show(value)} exceeds the supervisor's hard limit, which only root may raise; allowed: up to {hard}"
            )
        return wanted

    return Type(inner.words, parse)


def at_least(lowest: Callable[[], int], inner: Type) -> Type:
    """Return the type of a number that only root may set below the supervisor's own value."""

    def parse(value: object, scope: Scope) -> Any:  # noqa: ANN401 - what the inner type makes
        wanted = inner.parse(value, scope)
        if scope.machine.uid and wanted < (least := lowest()):
            raise Wrong(f"{show(value)} needs root; allowed without root: {least} and more")
        return wanted

    return Type(inner.words, parse)


def own_oom_score_adj() -> int:
    """Return the `oom_score_adj` of this process, from the kernel."""
    with open("/proc/self/oom_score_adj") as file:
        return int(file.read())


def cpu_affinity(value: object, scope: Scope) -> tuple[int, ...]:
    """Return processors of this machine, in order."""
    if isinstance(value, str) and _RANGES.fullmatch(value):
        found = processors(value)
    elif isinstance(value, list) and all(type(one) is int for one in value):
        found = set(value)
    else:
        raise Wrong(f"{show(value)} is not a list of processors; {_PROCESSORS}")
    if not found:
        raise Wrong(f"the list is empty; {_PROCESSORS}")
    missing = sorted(found - scope.machine.processors())
    if missing:
        shown = ", ".join(map(str, missing[:5]))
        raise Missing(f"there is no processor {shown} on this machine; {_PROCESSORS}", good=tuple(sorted(found)))
    return tuple(sorted(found))


def io_priority(value: object, _scope: Scope) -> int | str:
    """Return a level of the class best-effort, or "idle"."""
    if value == "idle" or (type(value) is int and 0 <= value <= 7):
        return value
    what = "is unknown" if isinstance(value, str) else "is out of range" if type(value) is int else "is not a priority"
    raise Wrong(f"{quote(value) if isinstance(value, str) else show(value)} {what}; {_PRIORITIES}")


def unenforceable(limits: Limits, machine: Machine, keys: Iterable[str]) -> list[Problem]:
    """Return the limits of a whole run, or of a group, that nothing on this machine could enforce."""
    problems: list[Problem] = []
    for key in keys:
        if getattr(limits, key) is None or limits.best_effort:
            continue
        what = machine.lacks(CONTROLLERS[key])
        if not what and key == "io_weight" and not machine.disks_share():
            what = "no disk of this machine has the scheduler bfq (/sys/block/NAME/queue/scheduler) or io.cost"
        if what:
            allowed = "so the limit cannot be enforced; allowed: no such limit, or best_effort = true"
            problems.append(Problem(("limits", key), f"{what}, {allowed}", ErrorKind.MACHINE))
    return problems


def approximate(limits: Limits, machine: Machine) -> list[Problem]:
    """Return the limits that are only watched, not enforced."""
    what = "so it is only approximate: @scribe measures each second, and a run beyond the limit is stopped"
    found = [(key, why) for key in limits.watched if (why := machine.lacks(CONTROLLERS[key]))]
    return [Problem(("limits", key), f"{why}, {what}") for key, why in found]


CPU_AFFINITY = Type("list of processors", cpu_affinity)
IO_PRIORITY = Type('0 to 7 | "idle"', io_priority)
