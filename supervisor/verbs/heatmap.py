"""`supctl heatmap`: the usage of the tasks as tasks × time, and advice on which tasks go well together."""

from __future__ import annotations

import os

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK
from supervisor.core.text import visible
from supervisor.verbs import history_reader
from supervisor.verbs.arguments import JSON, MOMENT, VIEW, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen, percent, size

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls
    from supervisor.usage.heat import Heat

EXAMPLE = """supctl heatmap
supctl heatmap --since 7d --metric memory --html memory.html
supctl heatmap --metric io --json"""

METRICS = {"cpu": ("cpu",), "memory": ("memory",), "io": ("read", "written")}
"""The samples that are added up for each metric."""

PAGE_COLUMNS = 96


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    Argument("since", f"{history_reader.MOMENT}; default: 24h", "--since", kind=MOMENT, metavar="T", local=True),
    Argument("metric", "default: cpu", "--metric", choices=METRICS, default="cpu", local=True),
    Argument("html", "write it as one HTML file; the mouse pointer shows values", "--html", metavar="FILE", local=True),
    JSON,
)


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any]:
    """Use the history alone."""
    return {**history_reader.offline(runtime_dir), "name": "supervisor", "kinds": None}


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer where the history is, and the kind of each task."""
    kinds = {name: str(task.kind) for name, task in controls.context.config.tasks.items()}
    client.answer({**history_reader.answer(controls, []), "name": controls.context.announcer.name, "kinds": kinds})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show blocks of colour, or characters where there is no colour. Show the advice below them."""
    from supervisor.usage.advice import advise  # noqa: PLC0415 - only here
    from supervisor.usage.page import about, page  # noqa: PLC0415

    heat = _heat(answer, options, screen)
    kinds = answer["kinds"]
    kept_up = None if kinds is None else {name for name, kind in kinds.items() if kind == "continuous"}
    advice = advise(heat, _capacity(options.metric), kept_up)
    shown = _shown(options.metric)
    if options.json:
        screen.json(_json(heat, advice))
    elif options.html:
        with open(options.html, "w", encoding="utf-8") as file:
            file.write(page(answer["name"], heat, advice, shown))
        screen.line(f"{options.html}: {about(heat)}")
    else:
        _draw(heat, screen)
        screen.line(f"{about(heat)} The hottest cell: {shown(heat.top)}.")
        for one in advice:
            screen.line(f"- {one.text}")
    return OK


def _heat(answer: dict[str, Any], options: Namespace, screen: Screen) -> Heat:
    from supervisor.store import samples  # noqa: PLC0415 - needs SQLite
    from supervisor.usage.heat import grid, step_for  # noqa: PLC0415

    until = int(history_reader.moment("1ms")) + 1
    since = int(options.since) if options.since is not None else until - samples.DAY
    if since >= until:
        raise RefusedError("--since is in the future")
    step = step_for(until - since, PAGE_COLUMNS if options.html or options.json else max(_columns(screen) - 20, 10))
    since = since // step * step
    with history_reader.opened(answer) as connection:
        points = samples.series(connection, METRICS[options.metric], since, until, step)
    if not points:
        raise RefusedError("nothing was measured in that time; is sample = 0 in [supervisor]?")
    return grid(options.metric, points, since, step, -(-(until - since) // step))


def _columns(screen: Screen) -> int:
    try:
        return os.get_terminal_size(screen.out.fileno()).columns
    except OSError:  # a pipe, or a string
        return 100


def _draw(heat: Heat, screen: Screen) -> None:
    from supervisor.usage.heat import colour, shade  # noqa: PLC0415

    width = min(max(map(len, heat.rows)), 18)
    for task, row in heat.rows.items():
        if screen.colour:
            cells = "".join("\033[48;2;{};{};{}m \033[0m".format(*colour(value, heat.top)) for value in row)
        else:
            cells = "".join(shade(value, heat.top) for value in row)
        screen.write(f"{visible(task[:width]):>{width}} {cells}")


def _shown(metric: str) -> Any:  # noqa: ANN401 - a function of a value
    return {"cpu": lambda v: f"{percent(v)} of a processor", "memory": size, "io": lambda v: f"{size(v)}/s"}[metric]


def _capacity(metric: str) -> float:
    """Return how much of it this machine has."""
    if metric == "cpu":
        return 100.0 * (os.cpu_count() or 1)
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if metric == "memory" else 0.0


def _json(heat: Heat, advice: list[Any]) -> dict[str, Any]:
    return {
        "metric": heat.metric,
        "unit": {"cpu": "percent of a processor", "memory": "bytes", "io": "bytes per second"}[heat.metric],
        "since": heat.since,
        "step_s": heat.step,
        "samples": heat.samples,
        "tasks": {task: list(row) for task, row in heat.rows.items()},
        "advice": [{"kind": one.kind, "tasks": list(one.tasks), "text": one.text} for one in advice],
    }
