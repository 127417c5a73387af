"""`supctl heatmap`: what the tasks used, tasks × time, and what follows from it for who goes well with whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor.verbs import past
from supervisor.verbs.interface import OK, Arguments, RefusedError
from supervisor.verbs.screen import Screen, percent, size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent
    from supervisor.usage.heat import Heat

EXAMPLE = """supctl heatmap
supctl heatmap --since 7d --metric memory --html memory.html
supctl heatmap --metric io --json"""

METRICS = {"cpu": ("cpu",), "memory": ("memory",), "io": ("read", "written")}
"""What is added up for each."""

PAGE_COLUMNS = 96


def arguments(parser: ArgumentParser) -> None:
    """--since, --metric, --html, --json."""
    parser.add_argument("--since", type=past.moment, metavar="T", help=f"{past.MOMENT}; default: 24h")
    parser.add_argument("--metric", choices=list(METRICS), default="cpu", help="default: cpu")
    parser.add_argument("--html", metavar="FILE", help="as a page that needs nothing else, with values to hover over")
    parser.add_argument("--json", action="store_true", help="as JSON")


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any]:
    """The history alone."""
    return {**past.offline(runtime_dir), "name": "supervisor", "kinds": None}


def request(options: Namespace) -> dict[str, Any]:
    """Nothing is asked but where the history is."""
    return {}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Where the history is, and which task is of which kind."""
    kinds = {name: str(task.kind) for name, task in parent.config.tasks.items()}
    client.answer({**past.answer(parent, []), "name": parent.announce.name, "kinds": kinds})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Blocks of colour, or characters where there are none; below them the advice."""
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

    until = int(past.moment("1ms")) + 1
    since = int(options.since) if options.since is not None else until - samples.DAY
    if since >= until:
        raise RefusedError("--since is a time that is yet to come")
    step = step_for(until - since, PAGE_COLUMNS if options.html or options.json else max(_columns(screen) - 20, 10))
    since = since // step * step
    with past.opened(answer) as connection:
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
        screen.line(f"{task[:width]:>{width}} {cells}")


def _shown(metric: str) -> Any:  # noqa: ANN401 - a function of a value
    return {"cpu": lambda v: f"{percent(v)} of a processor", "memory": size, "io": lambda v: f"{size(v)}/s"}[metric]


def _capacity(metric: str) -> float:
    """What this machine has of it."""
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
