"""The types of `limits`: what the kernel will not give is an error here, not a task that cannot start."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterable
from typing import Any

from supervisor.config.errors import Problem, Wrong
from supervisor.config.key import Type
from supervisor.config.wording import quote, show
from supervisor.config.world import Scope, World
from supervisor.core.controllers import CONTROLLERS
from supervisor.core.definition import Limits

_PROCESSORS = 'allowed: numbers of processors, such as [0, 1] or "0-3,8"'
_RANGES = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*", re.ASCII)
_PRIORITIES = 'allowed: 0 (first) to 7 (last), "idle"'


def below_hard(name: str, inner: Type) -> Type:
    """A limit that only root may have larger than our own hard one."""
    number = getattr(resource, f"RLIMIT_{name}")

    def parse(value: object, scope: Scope) -> Any:  # noqa: ANN401 - what the inner type makes
        wanted = inner.parse(value, scope)
        hard = resource.getrlimit(number)[1]
        if scope.world.uid and hard != resource.RLIM_INFINITY and wanted > hard:
            raise Wrong(
                f"{show(value)} is more than our own hard limit, which only root may raise; allowed: up to {hard}"
            )
        return wanted

    return Type(inner.words, parse)


def at_least(lowest: Callable[[], int], inner: Type) -> Type:
    """A number that only root may have below ours."""

    def parse(value: object, scope: Scope) -> Any:  # noqa: ANN401 - what the inner type makes
        wanted = inner.parse(value, scope)
        if scope.world.uid and wanted < (least := lowest()):
            raise Wrong(f"{show(value)} needs root; allowed without root: {least} and more")
        return wanted

    return Type(inner.words, parse)


def own_oom_score_adj() -> int:
    """Ours, as the kernel has it."""
    with open("/proc/self/oom_score_adj") as file:
        return int(file.read())


def cpu_affinity(value: object, scope: Scope) -> tuple[int, ...]:
    """Processors of this machine, in order."""
    if isinstance(value, str) and _RANGES.fullmatch(value):
        found = processors(value)
    elif isinstance(value, list) and all(type(one) is int for one in value):
        found = set(value)
    else:
        raise Wrong(f"{show(value)} is not a list of processors; {_PROCESSORS}")
    if not found:
        raise Wrong(f"the list is empty; {_PROCESSORS}")
    missing = sorted(found - scope.world.processors())
    if missing:
        shown = ", ".join(map(str, missing[:5]))
        raise Wrong(f"there is no processor {shown} on this machine; {_PROCESSORS}")
    return tuple(sorted(found))


def processors(text: str) -> set[int]:
    """The numbers of "0-3,8"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def io_priority(value: object, _scope: Scope) -> int | str:
    """A level of the class best-effort, or "idle"."""
    if value == "idle" or (type(value) is int and 0 <= value <= 7):
        return value
    what = "is unknown" if isinstance(value, str) else "is out of range" if type(value) is int else "is no priority"
    raise Wrong(f"{quote(value) if isinstance(value, str) else show(value)} {what}; {_PRIORITIES}")


def unenforceable(limits: Limits, world: World, keys: Iterable[str]) -> list[Problem]:
    """Those of a whole run, or of a group, that nothing on this machine could enforce."""
    problems: list[Problem] = []
    for key in keys:
        if getattr(limits, key) is None or limits.best_effort:
            continue
        what = world.lacks(CONTROLLERS[key])
        if not what and key == "io_weight" and not world.disks_share():
            what = "no disk of this machine has the scheduler bfq (/sys/block/NAME/queue/scheduler) or io.cost"
        if what:
            allowed = "so nothing could enforce it; allowed: no such limit, or best_effort = true"
            problems.append((("limits", key), f"{what}, {allowed}"))
    return problems


def approximate(limits: Limits, world: World) -> list[Problem]:
    """Those that are only watched."""
    what = "so it is only measured each second, and the run stopped when it is beyond: approximate"
    found = [(key, why) for key in limits.watched if (why := world.lacks(CONTROLLERS[key]))]
    return [(("limits", key), f"{why}, {what}") for key, why in found]


CPU_AFFINITY = Type("list of processors", cpu_affinity)
IO_PRIORITY = Type('0 to 7 | "idle"', io_priority)
