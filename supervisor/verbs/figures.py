"""Resource usage of the runs, for verbs: the newest figures of @scribe, and a request for newer ones."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

    from supervisor.shell.controls import Controls

RECENT = 15.0
"""Seconds for which figures are new enough for a verb that shows them once."""


def figures(controls: Controls, tasks: list[dict[str, Any]], *, recent: float = RECENT) -> dict[str, Any]:
    """Fill in the usage of the runs. Ask @scribe for newer figures if some are missing or older than `recent` seconds.

    The answer does not wait for the new figures: the next answer has them. Returns the newest round of samples.
    """
    from supervisor.core import report  # noqa: PLC0415 - not in supctl
    from supervisor.registry import scribe  # noqa: PLC0415

    samples, now = controls.host.samples(), controls.host.now()
    report.measured(tasks, samples, now)
    missing = any(one["pid"] and one["processes"] is None for one in tasks)
    if controls.context.config.settings.sample and (missing or not samples or now - samples["at"] > recent):
        controls.host.signal(scribe.HELPER.key, scribe.MEASURE)
    return samples
