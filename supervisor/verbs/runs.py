"""`supctl runs`: the history of runs. It is read from the disk, so it works without a supervisor as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs import past
from supervisor.verbs.interface import OK, UNKNOWN, Arguments, RefusedError, chosen, count, strings
from supervisor.verbs.screen import Screen, age

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance, Run
    from supervisor.parent import Parent

EXAMPLE = """supctl runs web -n 5
supctl runs --failed --since 24h
supctl runs '*' -n 1000 --csv > runs.csv"""


def arguments(parser: ArgumentParser) -> None:
    """NAME…, --failed, --since, -n, --json, --csv."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task, instance (web:2), group (@etl) or glob ('w*')")
    parser.add_argument("--failed", action="store_true", help="only runs that failed")
    parser.add_argument("--since", type=past.moment, default=0.0, metavar="T", help=past.MOMENT)
    parser.add_argument("-n", type=count, default=20, metavar="N", help="the newest N; default: 20")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--csv", action="store_true", help="as CSV with the keys of the JSON")


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any]:
    """The history alone."""
    return {**past.offline(runtime_dir), "instances": None, "running": []}


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Where the history is, whom the names mean now, and what runs now."""
    found: dict[str, Instance] = {}
    for name in strings(args, "names"):
        try:
            found |= {i.key: i for i in chosen(parent, {"names": [name]})}
        except RefusedError:  # it may have left the config; the history knows
            continue
    if not strings(args, "names"):
        found = {i.key: i for i in chosen(parent, {"all": True})}
    running = [_running(i, i.run, parent) for i in found.values() if i.run]
    told = past.answer(parent, list(found.values()))
    client.answer({**told, "instances": list(found), "running": running})


def _running(i: Instance, run: Run, parent: Parent) -> dict[str, Any]:
    """A run that is on, in the shape of one that is over."""
    stamp = parent.host.stamp
    blank = dict.fromkeys((
        "end", "last_end", "code", "signal", "core_dumped", "success", "reason", "stopped", "cpu_s", "memory_bytes",
        "tail",
    ))  # fmt: skip
    return {
        "run": run.id, "runs": 1, "last_run": run.id, "name": i.name, "task": i.task.name, "kind": str(i.task.kind),
        "trigger": run.trigger, "attempt": run.attempt, "arguments": list(run.order.arguments) if run.order else [],
        "pid": run.pid or None, "start": stamp(run.began), "ready": stamp(run.ready) if run.ready else None,
        "duration_s": round(parent.host.now() - run.began, 3), **blank,
    }  # fmt: skip


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """A table, the newest last."""
    rows = _rows(answer, options)
    if options.json:
        screen.json({"runs": rows})
    elif options.csv:
        _csv(rows, screen)
    elif rows:
        screen.table(("RUN", "TRIGGER", "START", "DURATION", "CPU", "MEMORY", "OUTCOME"), [_row(one) for one in rows])
    else:
        screen.line("no runs")
    return OK


def _rows(answer: dict[str, Any], options: Namespace) -> list[dict[str, Any]]:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite

    with past.opened(answer) as connection:
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


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    outcome = one["reason"] or "running"
    if one["stopped"]:
        outcome = f"stopped ({outcome})"
    if one["runs"] > 1:
        outcome += f" ({one['runs']} runs like this, until {one['last_end']})"
    if one["arguments"]:
        outcome += f"  -- {' '.join(one['arguments'])}"
    cpu, memory = one["cpu_s"], one["memory_bytes"]
    return (
        one["run"],
        one["trigger"],
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
    writer.writerows({**row, "arguments": " ".join(row["arguments"])} for row in rows)
