"""`supctl check`: a config, without a supervisor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from supervisor.verbs.interface import OK, REFUSED
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLE = "supctl check conf/supervisor.toml"


def arguments(parser: ArgumentParser) -> None:
    """FILE, --json."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="default: the file that `supervisor` would take")
    parser.add_argument("--json", action="store_true", help="as JSON")


def local(options: Namespace, screen: Screen) -> int:
    """The same check as `supervisor --check` and every reload."""
    from supervisor.config import ConfigErrors, find, load  # noqa: PLC0415

    try:
        path, _why = find(options.file, os.environ)
        config = load(path, beforehand=True)
    except ConfigErrors as errors:
        texts = [str(error) for error in errors.errors]
        if options.json:
            screen.json({"ok": False, "errors": texts})
        else:
            for text in texts:
                screen.complain(text)
        return REFUSED
    if options.json:
        told = {"path": path, "tasks": list(config.tasks), "errors": [], "warnings": list(config.warnings)}
        screen.json({"ok": True, **told})
    else:
        for text in config.warnings:
            screen.complain(f"warning: {text}")
        screen.line(f"{path}: ok, {len(config.tasks)} task{'' if len(config.tasks) == 1 else 's'}")
    return OK
