"""The output of an instance, for verbs: the last words of a failed run, and the lost output."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls
    from supervisor.verbs.screen import Screen


WIDTH = 200
"""Characters of a line of last words that people see. `--json` has the whole line."""


def output(controls: Controls, i: Instance) -> dict[str, Any]:
    """Return `last_words` of the last run, if it failed by itself, and `lost_output`, with the reason.

    The scribe has left the last words in the runtime directory, which is memory.
    """
    from supervisor.logs import tail  # noqa: PLC0415 - not in supctl

    runtime_dir = controls.context.settings.runtime_dir
    said = tail.read(runtime_dir, i.key) if i.last and not i.last.success and not i.last.asked else {}
    number = i.runs - (1 if i.run else 0)
    mine = said.get("run", "").startswith(f"{i.key}/{number}@")
    return {"last_words": said.get("lines") if mine else None, "lost_output": controls.losses.of(i.key)}


def show(one: dict[str, Any], screen: Screen) -> None:
    """Show the same to people."""
    if one["last_words"]:
        screen.line("Its last output:")
        for line in one["last_words"]:
            screen.line(f"  | {line if len(line) <= WIDTH else line[:WIDTH] + ' …'}")
    lost = one["lost_output"]
    if lost:
        screen.line(f"{lost['bytes']} bytes ({lost['lines']} lines) of its output could not be written: {lost['why']}.")
