"""`supctl run`: ask for a run of a triggered task, by hand."""

from __future__ import annotations

import os

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import USAGE, exit_of
from supervisor.verbs.arguments import FLAG, JSON, OPERATE, SPAN, STRINGS, Argument
from supervisor.verbs.interface import Arguments, chosen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.definition import Task
    from supervisor.core.firing import Input
    from supervisor.host.interface import Done
    from supervisor.shell.controls import Controls
    from supervisor.verbs.screen import Screen

EXAMPLE = """supctl run import
supctl run import --wait --env DAY=2026-11-20 -- --full orders.csv
supctl run report --at 18:00 --id report-2026-11 --stdin figures.csv"""


ROLE, ACTS = OPERATE, True

ARGUMENTS = (
    Argument(
        "names", "a triggered task; words after -- are added to its command", kind=STRINGS, many="1", metavar="NAME"
    ),
    Argument("wait", "wait for the end; exit 0 if it succeeded, else 1", "--wait", kind=FLAG),
    Argument("env", "one more variable; may be repeated", "--env", kind=STRINGS, metavar="K=V"),
    Argument("stdin", 'a file that the run reads from its stdin; "-": the stdin of supctl', "--stdin", metavar="FILE"),
    Argument(
        "id", "a name of your own: with the same KEY, only the first request makes a firing", "--id", metavar="KEY"
    ),
    Argument("in", "run after this time", "--in", kind=SPAN, metavar="DURATION", group="when"),
    Argument("at", "run at this time: 18:00, 2026-12-24T18:00 or RFC 3339", "--at", metavar="TIME", group="when"),
    Argument("reply_to", "not available yet in this version", "--reply-to", metavar="URL"),
    Argument("args", "the words after --", kind=STRINGS),
    JSON,
)

LONGEST_KEY = 256
"""Bytes of an --id."""

LARGEST = 192 * 1024
"""Bytes of the words and variables of one run, as JSON: they are one message to @timekeeper."""


def prepare(options: Namespace) -> None:
    """Take the words after --."""
    options.args = options.words


def descriptor(options: Namespace) -> int:
    """Return the descriptor to send with the request: the content for stdin; -1 for none.

    Raises:
        RefusedError: it cannot be read, or is too large.
    """
    if not options.stdin:
        return -1
    from supervisor.verbs.content import sealed  # noqa: PLC0415 - only then

    return sealed(options.stdin)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Make a firing. Answer when its run has begun, or when it is known why it waits; with `wait` at its end."""
    task, given, key = _task(controls, args), _input(args), args["id"] or ""
    if args["reply_to"]:
        raise RefusedError("--reply-to is not available yet in this version")
    if args["id"] is not None and not 0 < (size := _size(key)) <= LONGEST_KEY:
        raise RefusedError(f"--id takes 1 to {LONGEST_KEY} bytes; this one has {size}", USAGE)
    if (args["id"] or args["in"] is not None or args["at"]) and (why := controls.firing_runs.only_in_memory):
        from supervisor.core.firing import MUST_BE_KEPT  # noqa: PLC0415 - not in supctl

        raise RefusedError(f"{task.name}: {MUST_BE_KEPT}, but {why}")
    request = _Request(controls, client, task, given, key, until_end=args["wait"])
    controls.by_hand.check(task, later=args["in"] is not None or bool(args["at"]))
    request.fd = client.descriptor() if args["stdin"] else -1
    if args["stdin"] and request.fd < 0:
        raise RefusedError("the content for stdin has not arrived: no descriptor came with the request; try again")
    if args["at"]:
        request.find_moment(args["at"])
    else:
        request.keep_content(None if args["in"] is None else controls.host.wall() + args["in"])


class _Request:
    """One request, whose moment and content errands prepare."""

    def __init__(
        self, controls: Controls, client: Asker, task: Task, given: Input, key: str, *, until_end: bool
    ) -> None:
        self.fd = -1  # the content for stdin
        self._controls = controls
        self._client = client
        self._task = task
        self._given = given
        self._key = key
        self._id = controls.by_hand.new_id(task.name)
        self._until_end = until_end

    def find_moment(self, at: str) -> None:
        """Find the moment that a person means, by the time zone of the task."""
        from supervisor.shell import offloaded  # noqa: PLC0415 - not in supctl

        def found(done: Done) -> None:
            moment, wrong = done.value or (None, done.error)
            if moment is None:
                self._drop()
                self._client.fail(f"--at: {wrong}", USAGE)
            else:
                self.keep_content(moment)

        context = self._controls.context
        context.errand(found, offloaded.moment_of, at, self._task.timing.timezone, self._controls.host.wall())

    def keep_content(self, at: float | None) -> None:
        """Have the content for stdin copied to the disk, if there is any."""
        from supervisor.core.immutable import replace  # noqa: PLC0415
        from supervisor.shell import offloaded  # noqa: PLC0415

        if self.fd < 0:
            self._put(at)
            return

        def kept(done: Done) -> None:
            if done.error or not done.value:
                self._client.fail(f"{self._task.name}: cannot keep the content for stdin: {done.error}")
            else:
                self._given = replace(self._given, stdin=done.value)
                self._put(at)

        context = self._controls.context
        context.errand(kept, offloaded.keep_input, context.settings.state_dir, self._id, keep=self.fd)
        self._drop()

    def _put(self, at: float | None) -> None:
        config = self._controls.context.config.tasks.get(self._task.name)
        try:
            if config is None or config.kind != "triggered":
                raise RefusedError(f"{self._task.name}: the config has changed, and it is no triggered task any more")
            self._controls.by_hand.ask(
                self._client, config, self._given,
                at=at, key=self._key, identity=self._id, until_end=self._until_end,
            )  # fmt: skip
        except RefusedError as refusal:
            self._controls.by_hand.drop_input(self._given)
            self._client.fail(str(refusal), refusal.exit_code)

    def _drop(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _task(controls: Controls, args: Arguments) -> Task:
    """Return the triggered task that is meant.

    Raises:
        RefusedError: there is none, or there are several.
    """
    tasks = {i.task.name: i.task for i in chosen(controls.fleet, args)}
    name, task = next(iter(tasks.items()))
    if len(tasks) > 1:
        raise RefusedError(f"run takes one task; {args['names'][0]} means {', '.join(tasks)}", USAGE)
    if task.kind != "triggered":
        raise RefusedError(f"{name} is {task.kind}, not triggered; use `supctl start`")
    return task


def _input(args: Arguments) -> Input:
    from json import dumps  # noqa: PLC0415

    from supervisor.core.firing import Input  # noqa: PLC0415 - not in supctl

    given = Input(tuple(args["args"]), tuple(_pair(item) for item in args["env"]))
    size = len(dumps([given.arguments, given.environment]))
    if size > LARGEST:
        raise RefusedError(f"words and variables take {size} bytes; allowed: {LARGEST}; --stdin takes more", USAGE)
    return given


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name:
        raise RefusedError("--env takes NAME=VALUE", USAGE)  # without the item, which may be a secret
    return name, value


def _size(text: str) -> int:
    """Return the bytes of a text; it need not be UTF-8."""
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise RefusedError("--id is no text: it has half of a character", USAGE) from None


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the outcome, and the id of the firing. Return 0, 3 if it is held, 1 if it failed."""
    if options.json:
        screen.json(answer)
    else:
        for one in answer["instances"]:
            screen.line(f"{one['name']}: {one['text']}; firing {one['firing']}")
    return exit_of(answer)
