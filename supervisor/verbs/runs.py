"""`supctl runs`: the history of runs and of skipped firings.

It is read from the disk, so it works without a supervisor as well.
"""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, UNKNOWN
from supervisor.core.text import visible
from supervisor.verbs import history_reader
from supervisor.verbs.arguments import ANY, COUNT, FLAG, MOMENT, VIEW, Argument
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.screen import Screen, age

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance, Run
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl runs web -n 5
supctl runs --failed --since 24h
supctl runs backup --skipped
supctl runs '*' -n 1000 --csv > runs.csv"""


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    ANY,
    Argument("failed", "only runs that failed", "--failed", kind=FLAG, local=True, group="which"),
    Argument(
        "skipped",
        "only firings that were skipped: they have no run, but a reason",
        "--skipped",
        kind=FLAG,
        local=True,
        group="which",
    ),
    Argument("since", history_reader.MOMENT, "--since", kind=MOMENT, metavar="T", default=0.0, local=True),
    Argument("n", "the newest N; default: 20", "-n", kind=COUNT, metavar="N", default=20, local=True),
    Argument("json", "as JSON", "--json", kind=FLAG, local=True, group="form"),
    Argument("csv", "as CSV with the keys of the JSON", "--csv", kind=FLAG, local=True, group="form"),
)


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any]:
    """Use the history alone."""
    return {**history_reader.offline(runtime_dir), "instances": None, "running": []}


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer where the history is, which instances the names mean now, and which runs are under way."""
    found: dict[str, Instance] = {}
    for name in args["names"]:
        try:
            found |= {i.key: i for i in chosen(controls.fleet, {"names": [name]})}
        except RefusedError:  # it may have left the config; the history knows
            continue
    if not args["names"]:
        from supervisor.core.select import everything  # noqa: PLC0415 - not in supctl

        found = {i.key: i for i in everything(controls.fleet)}
    running = [_running(i, i.run, controls) for i in found.values() if i.run]
    told = history_reader.answer(controls, list(found.values()))
    client.answer({**told, "instances": list(found), "running": running})


def _running(i: Instance, run: Run, controls: Controls) -> dict[str, Any]:
    """Return a current run in the form of an ended run."""
    from supervisor.core.run_record import KEYS, firing_of  # noqa: PLC0415 - not in supctl
    from supervisor.host.clock import rfc3339  # noqa: PLC0415

    stamp, firing = controls.host.stamp, firing_of(run)
    return dict.fromkeys(KEYS) | {
        "run": run.id, "runs": 1, "last_run": run.id, "name": i.name, "task": i.task.name, "kind": str(i.task.kind),
        "trigger": run.trigger, "attempt": run.attempt, "arguments": list(run.order.arguments) if run.order else [],
        "pid": run.pid or None, "start": stamp(run.began), "ready": stamp(run.ready) if run.ready else None,
        "duration_s": round(controls.host.now() - run.began, 3),
        "firing": firing["firing"], "due": rfc3339(firing["due"]) if firing["due"] else None,
        "lateness_s": firing["late"] and round(firing["late"], 3), "missed": firing["missed"],
    }  # fmt: skip


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show a table, the newest run last."""
    rows = _rows(answer, options)
    if options.json:
        screen.json({"runs": rows})
    elif options.csv:
        _csv(rows, screen)
    elif not rows:
        screen.line("no skipped firings" if options.skipped else "no runs")
    elif options.skipped:
        screen.table(("TASK", "TRIGGER", "DUE", "SKIPPED"), [_skip_row(one) for one in rows])
    else:
        _table(rows, screen)
    return OK


def _rows(answer: dict[str, Any], options: Namespace) -> list[dict[str, Any]]:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite

    if options.skipped:
        return _skipped(answer, options)
    with history_reader.opened(answer) as connection:
        known = history.tasks(connection, options.names)
        instances = {instance for task, instance in known if options.names or not task.startswith("@")}
        instances |= set(answer["instances"] or ())
        if options.names and not instances:
            raise RefusedError(f"no run of {', '.join(options.names)} is in the history", UNKNOWN)
        rows = history.runs(
            connection, sorted(instances), failed=options.failed, since=options.since, count=max(options.n, 0)
        )
    if not options.failed:
        rows += answer["running"]
    return rows[max(len(rows) - options.n, 0) :] if options.n > 0 else []


def _skipped(answer: dict[str, Any], options: Namespace) -> list[dict[str, Any]]:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite

    tasks = {instance.rpartition(":")[0] for instance in answer["instances"] or ()}
    names = [*options.names, *tasks] if options.names else None
    with history_reader.opened(answer) as connection:
        return history.skipped(connection, names, since=options.since, count=options.n)


def _skip_row(one: dict[str, Any]) -> tuple[str, ...]:
    why = one["skipped"]
    if one["last_due"] != one["due"]:
        why += f" ({one['missed']} due times, until {one['last_due']})"
    elif one["missed"] > 1:
        why += f" ({one['missed']} due times)"
    return one["task"], one["trigger"], one["due"], why


def _table(rows: list[dict[str, Any]], screen: Screen) -> None:
    """Show runs. Only rows of firings need the columns that tell of firings."""
    fired, again = any(one["due"] for one in rows), any(one["attempt"] > 1 for one in rows)
    head = ["RUN", "TRIGGER", *["DUE", "LATE"] * fired, *["ATTEMPT"] * again, "START", "DURATION", "CPU", "MEMORY"]
    screen.table((*head, "OUTCOME"), [_row(one, fired=fired, again=again) for one in rows])


def _row(one: dict[str, Any], *, fired: bool, again: bool) -> tuple[str, ...]:
    outcome = one["reason"] or "running"
    if one["stopped"]:
        outcome = f"stopped ({outcome})"
    if one["runs"] > 1:
        outcome += f" ({one['runs']} runs like this, until {one['last_end']})"
    if one["arguments"]:
        outcome += f"  -- {' '.join(one['arguments'])}"
    cpu, memory, late = one["cpu_s"], one["memory_bytes"], one["lateness_s"]
    return (
        one["run"],
        one["trigger"],
        *[one["due"] or "-", "-" if late is None else age(late)] * fired,
        *[str(one["attempt"])] * again,
        one["start"],
        age(one["duration_s"]),
        "-" if cpu is None else f"{cpu:.2f} s",
        "-" if memory is None else f"{memory / 2**20:.1f}M",
        outcome,
    )


def _csv(rows: list[dict[str, Any]], screen: Screen) -> None:
    import csv  # noqa: PLC0415 - only here

    if not rows:
        return
    writer = csv.DictWriter(screen.out, rows[0], lineterminator="\n")
    writer.writeheader()
    clean = visible if screen.out.isatty() else str
    for row in rows:
        cells = {**row, "arguments": " ".join(row["arguments"])}
        writer.writerow({key: clean(cell) if isinstance(cell, str) else cell for key, cell in cells.items()})
