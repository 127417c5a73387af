"""Firings by hand: a client asks for one, follows it to its run or to its end, and takes it back.

A request becomes a firing when @timekeeper has committed it. From then on it goes the way of all firings
(`shell.firings`), whether or not its client is there. A client that has lost its connection follows it again by the id
of the firing, also after the death of the supervisor or of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.control.refusal import RefusedError
from supervisor.control.wait import Asker, Forwarding, Result
from supervisor.core.exits import OK, REFUSED, UNKNOWN, exit_of
from supervisor.core.firing import BY_HAND, Firing, Input
from supervisor.core.gate import may_line_up, will_start
from supervisor.core.report import short_reason
from supervisor.core.states import State
from supervisor.host import clock
from supervisor.shell import offloaded

if TYPE_CHECKING:
    from supervisor.core.definition import Task
    from supervisor.core.firing_queue import Waiting
    from supervisor.core.instance import Instance
    from supervisor.host.interface import Done
    from supervisor.shell.context import Context
    from supervisor.shell.firings import FiringRuns, Then

NO_ANSWER = "@timekeeper does not answer"
"""Begins the refusal of a request while too many of them are not yet on disk."""


class Follow:
    """A client that waits for the fate of a firing."""

    def __init__(self, client: Asker, task: str, identity: str, *, until_end: bool, taken_back: bool = False) -> None:
        """Begin.

        Args:
            client: gets the answer.
            task: of the firing.
            identity: of the firing.
            until_end: whether to wait for the end of its run; else for its begin, or the reason why it waits.
            taken_back: the firing is over; wait only until that is on disk.
        """
        self.client = client
        self.task = task
        self.id = identity
        self.until_end = until_end
        self.taken_back = taken_back
        self.look_up: Then | None = None  # awaits an answer of @timekeeper
        self.looked_up = False  # @timekeeper was asked, as nothing is known here
        self._told = ""

    def progress(self, name: str, state: str, why: str) -> None:
        """Tell the client what the firing waits for, if that is new."""
        if self._told != f"{name} {state} {why}":
            self._told = f"{name} {state} {why}"
            self.client.progress({"name": name, "state": state, "why": why, "firing": self.id})

    def answer(self, outcome: str, text: str, *, ok: bool, name: str = "", run: str | None = None) -> None:
        """Send the last line."""
        one: Result = {"name": name or self.task, "outcome": outcome, "ok": ok, "text": text, "run": run}
        self.client.answer({"instances": [one | {"firing": self.id}]})

    def ended(self, over: dict[str, Any], run: str) -> None:
        """Send the last line for a firing that is over; see `store.firings.Known`."""
        reason, success = over["reason"], over["success"]
        if not over["ran"]:
            self.client.fail(f"{self.task}: the firing {self.id} was skipped: {reason}", REFUSED)
            return
        began = not reason.startswith("cannot start")
        lasted = f" after {over['lasted']:.1f} s" if "lasted" in over else ""
        outcome = {True: "done", False: "failed", None: "stopped"}[success]
        ok = success or (began and not self.until_end)
        self.answer(outcome, f"run {run}: {reason}{lasted}", ok=bool(ok), run=run)


class ByHand:
    """The firings by hand of one supervisor, and the clients that follow firings."""

    def __init__(self, context: Context, firing_runs: FiringRuns) -> None:
        self._context = context
        self._runs = firing_runs
        self._follows: list[Follow] = []
        self._count = 0

    def new_id(self, task: str) -> str:
        """Return an id for a firing."""
        self._count += 1
        return f"{task}/{BY_HAND}/{self._context.host.wall():.0f}.{self._context.life}.{self._count}"

    def check(self, task: Task, *, later: bool) -> None:
        """Check that a request can become a firing now.

        Raises:
            RefusedError: the supervisor is shutting down, too many firings wait, or @timekeeper does not write them.
        """
        shutdown, runs, most = self._context.fleet.shutdown, self._runs, task.timing.max_waiting
        if shutdown:
            raise RefusedError(f"the supervisor is shutting down: {shutdown.reason}")
        unwritten = runs.count_puts(task.name)
        waiting = unwritten + len(runs.firings.by_hand(task.name)) if later else 0
        if waiting >= most:
            raise RefusedError(f"{task.name}: {waiting} firings by hand wait already (max_waiting)")
        if unwritten >= most + task.timing.max_parallel:
            raise RefusedError(f"{task.name}: {NO_ANSWER}: {unwritten} requests wait for it (max_waiting); try again")
        if runs.has_too_many_puts():
            raise RefusedError(f"{task.name}: {NO_ANSWER}: the requests that wait for it are too large; try again")

    def drop_input(self, given: Input) -> None:
        """Remove the content that was kept for a request, as no firing needs it."""
        if given.stdin:
            self._context.errand(_ignore, offloaded.drop_input, given.stdin)

    def ask(
        self,
        client: Asker,
        task: Task,
        given: Input,
        *,
        at: float | None = None,
        key: str = "",
        identity: str = "",
        until_end: bool = False,
    ) -> None:
        """Make a firing, and answer the client when its run has begun, or as soon as it is known why it waits.

        Args:
            client: who asks.
            task: a triggered task.
            given: what its run gets.
            at: when it is due, in seconds since 1970; None: now.
            key: within `dedupe`, the same key stands for the first firing.
            identity: from `new_id`.
            until_end: answer at the end of its run.

        Raises:
            RefusedError: see `check`.
        """
        now = self._context.host.wall()
        self.check(task, later=at is not None)
        identity = identity or self.new_id(task.name)
        due, start = (now, 0.0) if at is None else (at, at)
        firing = Firing(identity, task.name, BY_HAND, due, start, by=client.by, input=given)
        follow = self._begin(Follow(client, task.name, identity, until_end=until_end))

        def known(found: dict[str, Any] | None) -> None:
            refused = found and found.get("refused")
            if not found or refused or found["firing"]["id"] != identity:
                self.drop_input(given)
            if follow not in self._follows:
                return
            if refused:
                self._end(follow)
                client.fail(f"{task.name}: {refused}")
            elif found:
                self._found(follow, found)
            else:
                self._end(follow)
                client.fail(f"{task.name}: the content for stdin was removed before @timekeeper could write; try again")

        self._runs.put(firing, known, key=key, until=now + task.timing.dedupe)
        self._check(follow)

    def follow(self, client: Asker, identity: str, *, until_end: bool = True) -> None:
        """Answer the client like the one who asked for a firing, when it is over."""
        follow = self._begin(Follow(client, identity.partition("/")[0], identity, until_end=until_end))
        if self._known_here(identity):
            self._check(follow)
        else:
            self._look_up(follow)

    def take_back(self, client: Asker, identity: str) -> None:
        """Cancel a firing, or its run, and answer the client when that is done."""
        reason = f"cancelled by {client.by}"
        if self._runs.take_back(identity, reason):
            self.await_skip(client, identity)
            return

        def known(found: dict[str, Any] | None) -> None:
            if found is None:
                text = (
                    f"no run and no firing {identity!r} is known (any more); see `supctl status` and `supctl schedule`"
                )
                client.fail(text, UNKNOWN)
            elif over := found["over"]:
                how = f"run {found['run']}: {over['reason']}" if over["ran"] else f"it was skipped: {over['reason']}"
                client.fail(f"{identity} is over since {clock.rfc3339(over['at'])}: {how}", REFUSED)
            else:
                client.fail(f"{identity} is changing its state; try again", REFUSED)

        client.on_close = lambda: self._runs.forget_find(identity, known)
        self._runs.find(identity, known)

    def await_skip(self, client: Asker, identity: str) -> None:
        """Answer the client when it is on disk that a firing has been skipped on its request."""
        self._begin(Follow(client, identity.partition("/")[0], identity, until_end=True, taken_back=True))

    def observe(self) -> None:
        """Answer the clients whose firing has come to what they wait for."""
        self._runs.answer_without_timekeeper()
        for follow in list(self._follows):
            if follow in self._follows:
                self._check(follow)

    # -- one client ---------------------------------------------------------------------------------------------------

    def _begin(self, follow: Follow) -> Follow:
        self._follows.append(follow)
        follow.client.on_close = lambda: self._end(follow)
        return follow

    def _end(self, follow: Follow) -> None:
        if follow in self._follows:
            self._follows.remove(follow)
            if follow.look_up:
                self._runs.forget_find(follow.id, follow.look_up)

    def _found(self, follow: Follow, known: dict[str, Any]) -> None:
        """Take over what @timekeeper knows of the firing."""
        follow.id, follow.task = known["firing"]["id"], known["firing"]["task"]
        if known["over"]:
            self._end(follow)
            follow.ended(known["over"], known["run"])

    def _known_here(self, identity: str) -> bool:
        runs = self._runs
        known = (
            runs.is_put(identity) or runs.is_put_again(identity) or runs.ended(identity) or runs.instance_of(identity)
        )
        return bool(known or runs.firings.find(identity))

    def _look_up(self, follow: Follow) -> None:
        def known(found: dict[str, Any] | None) -> None:
            follow.look_up = None
            if follow not in self._follows:
                return
            if found:
                self._found(follow, found)
                return
            self._end(follow)
            follow.client.fail(f"no firing {follow.id!r} is known (any more)", UNKNOWN)

        follow.look_up, follow.looked_up = known, True
        self._runs.find(follow.id, known)

    def _check(self, follow: Follow) -> None:
        """Answer the client, or tell it what the firing waits for."""
        runs, going = self._runs, self._context.fleet.shutdown
        over = runs.ended(follow.id)
        if over and "run" not in over and not going and self._runs.has_timekeeper():
            follow.progress(follow.task, "waiting", "@timekeeper writes down that it is skipped")
        elif over and not follow.taken_back:
            self._end(follow)
            follow.ended(over, over.get("run", ""))
        elif follow.taken_back:
            self._end(follow)
            follow.answer("cancelled", f"the firing {follow.id} is taken back", ok=True)
        elif (instance := runs.instance_of(follow.id)) and (instance.run or not going):
            self._check_run(follow, instance)
        elif going:
            self._end(follow)
            told = "is perhaps not on disk" if runs.is_put(follow.id) else "waits for its next start"
            text = f"the supervisor is shutting down; the firing {follow.id} {told}"
            follow.answer("held", text, ok=False)
        elif runs.is_put(follow.id) or runs.is_put_again(follow.id):
            follow.progress(follow.task, "waiting", "@timekeeper writes it down")
        elif waiting := runs.firings.find(follow.id):
            self._check_waiting(follow, waiting)
        else:
            self._lost(follow)

    def _check_run(self, follow: Follow, i: Instance) -> None:
        """Check a firing that has an instance."""
        fleet = self._context.fleet
        why = short_reason(fleet, i)
        if i.run and i.run.program and not follow.until_end:
            self._end(follow)
            follow.answer("running", f"run {i.run.id} (pid {i.pid})", ok=True, name=i.name, run=i.run.id)
        elif not follow.until_end and (
            i.state is State.BACKOFF or (i.state is State.HELD and not will_start(fleet, i))
        ):
            self._end(follow)
            follow.answer(str(i.state), f"{i.state}: {why}", ok=False, name=i.name)
        else:
            follow.progress(i.name, str(i.state), why)

    def _check_waiting(self, follow: Follow, waiting: Waiting) -> None:
        """Check a firing that waits for its time, a free run or a gate."""
        fleet, firing = self._context.fleet, waiting.firing
        follow.looked_up = False
        later = f"runs at {clock.rfc3339(firing.start)}" if firing.start > self._context.host.wall() else ""
        if later and not follow.until_end:
            self._end(follow)
            follow.answer("waiting", later, ok=True)
            return
        follow.progress(follow.task, "waiting", waiting.why or later)
        if follow.until_end or waiting.key or not waiting.why:
            return
        i = next(iter(fleet.copies(firing.task)), None)
        closed = i is not None and not may_line_up(fleet, i)
        if i is None or not closed or not will_start(fleet, i):
            self._end(follow)
            outcome = "held" if closed else "waiting"
            follow.answer(outcome, f"{outcome}: {waiting.why}", ok=not closed)

    def _lost(self, follow: Follow) -> None:
        """Look for a firing that is neither here nor on its way: @timekeeper may know its end."""
        if not follow.looked_up:
            self._look_up(follow)


def _ignore(_done: Done) -> None:
    """Ignore how an errand ended. @timekeeper removes a file that is left."""


class AsTicket(Forwarding):
    """Answer a client that follows a firing by its id, in the form of a ticket (`verbs.ticket`)."""

    def __init__(self, client: Asker, identity: str) -> None:
        super().__init__(client)
        self._id = identity

    def answer(self, value: object) -> None:
        """See `Asker`."""
        self._send({"exit": exit_of(value), "answer": value})

    def fail(self, text: str, exit_code: int = REFUSED) -> None:
        """See `Asker`."""
        self._send({"exit": exit_code, "error": text})

    def _send(self, outcome: dict[str, Any]) -> None:
        state = "done" if outcome["exit"] == OK else "failed"
        about = {"id": self._id, "verb": "run", "by": None, "asked": None, "state": state}
        self._client.answer({"ticket": about | outcome})
