"""Run firings again that are over (`supctl retry`): each becomes a new firing with the same input.

All of them are looked up first. If one cannot run again, nothing is changed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from supervisor.control.refusal import RefusedError
from supervisor.core.definition import Kind
from supervisor.core.exits import REFUSED, UNKNOWN
from supervisor.core.firing import AGAIN, Firing, firing_of
from supervisor.shell.by_hand import NO_ANSWER

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.shell.context import Context
    from supervisor.shell.firings import FiringRuns, Then

TRIGGER = "retry"
"""The trigger of such a firing."""

CANCELLED = "cancelled by "
"""How the reason of a cancelled firing begins."""


class RunAgain:
    """The requests to run firings again."""

    def __init__(self, context: Context, firing_runs: FiringRuns) -> None:
        self._context = context
        self._runs = firing_runs
        self._count = 0

    def ask(self, client: Asker, identities: list[str]) -> None:
        """Run firings again, by their own ids or those of their runs. Answer when the new ones are on disk.

        Raises:
            RefusedError: the supervisor is shutting down, or @timekeeper does not write what was asked for before.
        """
        if shutdown := self._context.fleet.shutdown:
            raise RefusedError(f"the supervisor is shutting down: {shutdown.reason}")
        if all(task.kind is not Kind.TRIGGERED for task in self._context.config.tasks.values()):
            raise RefusedError("the config has no triggered task (any more), so nothing can run again")
        if self._runs.has_too_many_puts():
            raise RefusedError(f"{NO_ANSWER}: the requests that wait for it are too large; try again")
        _Request(self._context, self._runs, client, identities, self._new_id).begin()

    def ask_failed(self, client: Asker, tasks: list[str], since: float) -> None:
        """Run all firings of tasks again that failed since a moment.

        Raises:
            RefusedError: see `ask`.
        """

        def found(identities: list[str]) -> None:
            if not identities:
                client.fail(f"no failed firing of {', '.join(tasks)} is known since then; nothing was run", REFUSED)
                return
            try:
                self.ask(client, identities)
            except RefusedError as error:
                client.fail(str(error), error.exit_code)

        self._runs.find_failed(tasks, since, found)

    def _new_id(self, old: str) -> str:
        self._count += 1
        return f"{old.partition(AGAIN)[0]}{AGAIN}{self._context.life}.{self._count}"


class _Request:
    """One request: first all look-ups, then all new firings, then the answer."""

    def __init__(
        self,
        context: Context,
        runs: FiringRuns,
        client: Asker,
        identities: list[str],
        new_id: Any,  # noqa: ANN401
    ) -> None:
        self._context = context
        self._runs = runs
        self._client = client
        self._names = list(dict.fromkeys(identities))
        self._new_id = new_id
        self._found: dict[str, dict[str, Any] | None] = {}
        self._results: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Look everything up."""
        questions: dict[str, Then] = {name: partial(self._known, name) for name in self._names}

        def left() -> None:
            for name, then in questions.items():
                self._runs.forget_find(name, then)

        self._client.on_close = left
        for name, then in questions.items():
            self._runs.find(name, then)

    def _known(self, name: str, known: dict[str, Any] | None) -> None:
        self._found[name] = known
        if len(self._found) < len(self._names):
            return
        wrong = {name: why for name in self._names if (why := self._refusal(name, self._found[name]))}
        if wrong:
            code = UNKNOWN if all(self._found[name] is None for name in wrong) else REFUSED
            self._client.fail("; ".join(wrong.values()), code)
            return
        firsts = {known["firing"]["id"]: known for known in self._found.values() if known}
        for first in firsts.values():
            self._put(firing_of(first["firing"]), first["over"]["reason"], len(firsts))

    def _refusal(self, name: str, known: dict[str, Any] | None) -> str:
        """Return why a firing cannot run again, or ""."""
        if known is None:
            return f"no run and no firing {name!r} is known (any more); see `supctl runs`"
        firing, over = known["firing"], known["over"]
        task = self._context.config.tasks.get(firing["task"])
        if over is None or self._runs.is_put_again(firing["id"]):
            state = f"its run {known['run']} is not over" if known["run"] else "it waits for its run"
            return f"{name} cannot run again yet: {state}; `supctl cancel` ends it"
        if over["reason"].startswith(CANCELLED):
            return f"{name} was {over['reason']}; `supctl run {firing['task']}` runs the task"
        if not over["ran"]:
            return f"{name} never ran, as it was skipped: {over['reason']}; `supctl run {firing['task']}` runs the task"
        if task is None or task.kind is not Kind.TRIGGERED:
            return f"{name} cannot run again: {firing['task']} is no triggered task of the config (any more)"
        return ""

    def _put(self, first: Firing, reason: str, many: int) -> None:
        wall = self._context.host.wall()
        new = Firing(self._new_id(first.id), first.task, TRIGGER, wall, 0.0, by=self._client.by, input=first.input)

        def committed(known: dict[str, Any] | None) -> None:
            if known:
                outcome, text = "retried", f"firing {new.id} runs again what ended with: {reason}"
            else:
                outcome, text = "failed", f"{first.id} cannot run again: its standard input is no longer kept"
            one = {"name": first.task, "outcome": outcome, "ok": known is not None, "text": text, "run": None}
            self._results.append(one | {"firing": new.id if known else None, "of": first.id})
            if len(self._results) == many:
                self._client.answer({"instances": self._results})

        self._runs.put(new, committed)
