"""`supctl retry`: run firings again that are over, with the same input."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import UNKNOWN, USAGE
from supervisor.verbs.arguments import FLAG, JSON, MOMENT, OPERATE, SECONDS, STRINGS, Argument
from supervisor.verbs.history_reader import MOMENT as MOMENTS
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.outcome import show_outcomes

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl retry import:1/12@7ba3a8
supctl retry --failed --since 24h import 'report-*'"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = (
    Argument(
        "names", "runs or firings; with --failed: tasks, groups or globs", kind=STRINGS, many="*", metavar="RUN|FIRING"
    ),
    Argument("failed", "all firings of these tasks that failed, and were not run again", "--failed", kind=FLAG),
    Argument("since", f"only what ended since then: {MOMENTS}", "--since", kind=MOMENT, metavar="T", local=True),
    Argument("within", "the same as seconds before now; null: all that is known", kind=SECONDS),
    JSON,
)


def prepare(options: Namespace) -> None:
    """Take the moment of --since."""
    if options.since is not None and not options.failed:
        raise RefusedError("--since needs --failed, and the names of tasks", USAGE)
    options.within = None
    if options.since is not None:
        from datetime import UTC, datetime  # noqa: PLC0415 - only then

        options.within = max(0.001, datetime.now(UTC).timestamp() - options.since)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Make a new firing for each, with the input of the first. `overlap` decides about it as about any other."""
    if not args["names"]:
        what = "--failed needs the names of tasks" if args["failed"] else "retry what? Name runs or firings"
        raise RefusedError(f"{what}; to run again what failed: supctl retry --failed --since 1h NAME", USAGE)
    if args["failed"]:
        tasks = list(dict.fromkeys(i.task.name for i in chosen(controls.fleet, args) if i.task.kind == "triggered"))
        if not tasks:
            raise RefusedError(f"{', '.join(args['names'])}: there is no triggered task in it")
        since = 0.0 if args["within"] is None else controls.host.wall() - args["within"]
        controls.run_again.ask_failed(client, tasks, since)
        return
    if others := [name for name in args["names"] if "/" not in name]:
        text = f"{', '.join(others)}: no run and no firing; these look like import:1/7@7ba3a8"
        raise RefusedError(f"{text}; for what failed of a task: supctl retry --failed NAME", UNKNOWN)
    controls.run_again.ask(client, args["names"])


render = show_outcomes
