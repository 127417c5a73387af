"""`supctl check`: check a config, without a supervisor."""

from __future__ import annotations

import os

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED
from supervisor.verbs.arguments import JSON, VIEW, Argument
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace

EXAMPLE = "supctl check conf/supervisor.toml"


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    Argument("file", "default: the file that `supervisor` would use", many="?", metavar="FILE", local=True),
    JSON,
)


def local(options: Namespace, screen: Screen) -> int:
    """Make the same check as `supervisor --check`."""
    from supervisor.config import ErrorKind, judge  # noqa: PLC0415
    from supervisor.host.patience import patiently  # noqa: PLC0415

    try:
        verdict = patiently(judge, options.file, os.environ)
    except OSError as error:
        raise RefusedError(f"cannot check the config: {error}") from None
    errors = list(map(str, verdict.found.errors))
    good = verdict.config is not None and not errors
    if options.json:
        told = {"ok": good, "errors": errors, "machine": list(map(str, verdict.found.of(ErrorKind.MACHINE)))}
        if verdict.config and good:
            told |= {"path": verdict.path, "tasks": list(verdict.config.tasks), "warnings": list(verdict.warnings)}
            told["schedules"] = verdict.schedules
        screen.json(told)
        return OK if good else REFUSED
    for text in errors or [f"warning: {text}" for text in verdict.warnings]:
        screen.complain(text)
    if good:
        for line in verdict.summary.splitlines():
            screen.line(line)
    return OK if good else REFUSED
