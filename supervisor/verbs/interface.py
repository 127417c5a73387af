"""The parts of a verb. One file has both ends of a `supctl` verb.

- `EXAMPLE`: command lines that show it, for `--help`.
- `ROLE`: the role that a client needs. `ACTS`: whether the verb changes anything. Such verbs are audited.
- `ARGUMENTS`: its arguments, as data. `prepare(options)`, if any, adds what `supctl` itself decides.
- `answer(controls, client, args)`: runs in the supervisor; answers the client now, or when the outcome is known.
- `render(answer, options, screen)`: shows the answer; returns the exit code. Runs in `supctl`.

Some verbs have more functions:

- `reads(args)` returns whether a request of a verb that acts only reads. The arguments are not checked yet.
- `BOUND` says that the act ends when its client hangs up.
- `again(options, broken=…)` returns whether to ask again, as the connection broke before the answer. `broken` says
  whether that is so at this time; else there was no connection since.
- `descriptor(options)` returns a descriptor that is sent with the request, or -1.
- `pending(answer)` returns whether to ask again soon.
- `offline(options, runtime_dir)` returns the answer to render when there is no supervisor.
- `lost(pid, other)` returns the error for the end of the supervisor `pid` before it has answered. `other` is the pid of
  the supervisor that answers in its place, or 0.

A verb that needs no supervisor has `local(options, screen)` in place of `answer` and `render`. A new verb is a file
here and a line in `verbs.NAMES`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import ModuleType

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import UNKNOWN, USAGE
from supervisor.verbs.arguments import checked

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

if TYPE_CHECKING:
    Arguments = dict[str, Any]
    """Arguments of a request, checked, with the defaults of those that were missing."""
else:
    Arguments = dict


class Verb:
    """The supervisor's end of a verb."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.role: str = module.ROLE
        self.acts: bool = module.ACTS
        self.bound: bool = getattr(module, "BOUND", False)

    def reads(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a request of a verb that acts changes nothing."""
        reads = getattr(self.module, "reads", None)
        return bool(reads and reads(arguments))

    def checked(self, arguments: Mapping[str, Any]) -> Arguments:
        """Return the arguments of a request with their defaults.

        Raises:
            RefusedError: one is unknown, or has the wrong type.
        """
        return checked(self.module.ARGUMENTS, arguments)

    def answer(self, controls: Controls, client: Asker, arguments: Arguments) -> None:
        """Do what was asked, and answer the client now or later.

        Raises:
            RefusedError: it cannot be done.
        """
        self.module.answer(controls, client, arguments)


def chosen(
    fleet: Fleet, args: Arguments, *, all_without_names: bool = False, may_be_none: bool = False
) -> list[Instance]:
    """Return the instances that `names` means, or all of them with `all`.

    Raises:
        RefusedError: there is no such name, or none is given; or, unless there `may_be_none`, what is meant has no
            instance.
    """
    from supervisor.core.select import (  # noqa: PLC0415 - not in supctl
        UnknownNameError,
        everything,
        select,
        without_instances,
    )

    names = args["names"]
    if args.get("all") or (all_without_names and not names):
        return everything(fleet)
    if not names:
        raise RefusedError("which tasks? Give a NAME, or --all", USAGE)
    try:
        found = select(fleet, names)
    except UnknownNameError as error:
        raise RefusedError(str(error), UNKNOWN) from None
    if not found and not may_be_none:
        none = without_instances(fleet, names)
        raise RefusedError("; ".join(map(no_instance, none)) or f"{', '.join(names)}: there is no task in it")
    return found


def with_runs(instances: Iterable[Instance], named: Collection[str] = ()) -> list[Instance]:
    """Leave out the idle instances of triggered tasks, but for one of each task that has no run.

    Such a task has an instance for each run that it may have at the same time. An instance stays if it is itself named.
    """
    return _of_triggered(instances, named, lambda those: [i for i in those if i.state != "stopped"] or those[:1])


def _of_triggered(
    instances: Iterable[Instance], named: Collection[str], choose: Callable[[list[Instance]], list[Instance]]
) -> list[Instance]:
    by_task: dict[str, list[Instance]] = {}
    for i in instances:
        by_task.setdefault(i.task.name, []).append(i)
    found: list[Instance] = []
    for those in by_task.values():
        kept = [i for i in those if i.key in named]
        whole = those[0].task.kind != "triggered" or len(those) == 1
        found += those if whole else kept or choose(those)
    return found


def of_run(controls: Controls, name: str) -> list[Instance]:
    """Return the instance whose current run is "web/7", "web:2/7" or the full id; none if the run has ended."""
    return [
        i
        for i in controls.fleet.instances.values()
        if i.run and name in (i.run.id, f"{i.key}/{i.run.number}", f"{i.name}/{i.run.number}")
    ]


def refuse_idle_triggered(instances: Iterable[Instance]) -> None:
    """Refuse to start a triggered task that has nothing to do: only a firing makes a run of it.

    Raises:
        RefusedError: one of these is such a task.
    """
    for i in instances:
        if i.task.kind == "triggered" and i.state in ("stopped", "failed"):
            raise RefusedError(f"{i.name} is triggered: `supctl run {i.task.name}` asks for a run; nothing was started")


def no_instance(task: str) -> str:
    """Return the message for a task that has no instance."""
    return f"{task} has no instance (replicas = 0): `supctl scale {task}=1` gives it one"
