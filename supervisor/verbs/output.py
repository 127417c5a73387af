"""What verbs say of the output of an instance: the last words of a run that failed, and what could not be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent
    from supervisor.verbs.screen import Screen


WIDTH = 200
"""Characters of a line that people are shown of its last words; `--json` has the whole."""


def output(parent: Parent, i: Instance) -> dict[str, Any]:
    """`last_words` of the last run, if it failed by itself; `lost_output`: what could not be written, with the reason.

    The words are what the scribe has left in the runtime directory, which is memory.
    """
    from supervisor.logs import tail  # noqa: PLC0415 - not in supctl

    runtime_dir = parent.running_settings.runtime_dir
    said = tail.read(runtime_dir, i.key) if i.last and not i.last.success and not i.last.asked else {}
    number = i.runs - (1 if i.run else 0)
    mine = said.get("run", "").startswith(f"{i.key}/{number}@")
    return {"last_words": said.get("lines") if mine else None, "lost_output": parent.losses.of(i.key)}


def tell(one: dict[str, Any], screen: Screen) -> None:
    """The same for people."""
    if one["last_words"]:
        screen.line("It said last:")
        for line in one["last_words"]:
            screen.line(f"  | {line if len(line) <= WIDTH else line[:WIDTH] + ' …'}")
    lost = one["lost_output"]
    if lost:
        screen.line(f"{lost['bytes']} bytes ({lost['lines']} lines) of its output could not be written: {lost['why']}.")
