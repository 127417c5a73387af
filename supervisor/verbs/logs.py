"""`supctl logs`: what tasks have said.

The supervisor only says where it is; the files are read here. What a task has written and the scribe has not yet put
into its file (`unread`) is waited for, for a moment, so that the last words of a task that has just died are shown.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from supervisor.verbs import ofrun, past
from supervisor.verbs.interface import OK, REFUSED, USAGE, Arguments, RefusedError, chosen, number
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.logs.ofrun import RunReader
    from supervisor.logs.read import Line, Reader
    from supervisor.parent import Parent

    Reading = tuple[str, str, Reader | RunReader]
    """Of an instance, of a stream ("" for both)."""

EXAMPLE = """supctl logs web
supctl logs -f web mail-sender
supctl logs web --since 10m --stderr --grep 'timeout|refused'"""

GLANCE = 0.2
"""Seconds between two looks at files that are followed."""

ALWAYS = "9"
"""Later than every time."""

_COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


def arguments(parser: ArgumentParser) -> None:
    """NAME…, which lines, how they are shown."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="task, instance, group or glob")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with every new line, until Ctrl-C")
    parser.add_argument("-n", "--lines", type=number, metavar="N", help="the last N of each; default: 20, or all")
    parser.add_argument("--since", type=past.moment, metavar="T", help=past.MOMENT)
    parser.add_argument("--until", type=past.moment, metavar="T", help="likewise")
    parser.add_argument("--run", metavar="ID", help="only what this run said; see `supctl runs`")
    stream = parser.add_mutually_exclusive_group()
    stream.add_argument("--stdout", dest="stream", action="store_const", const="out", help="only stdout")
    stream.add_argument("--stderr", dest="stream", action="store_const", const="err", help="only stderr")
    parser.add_argument("--grep", metavar="RE", help="only lines in which this regular expression is found")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Where the output of each instance is, how much of it is still on its way, and its last runs."""
    from supervisor.logs.places import files  # noqa: PLC0415 - not in supctl

    log_dir, found = parent.config.settings.log_dir, []
    for i in chosen(parent, args):
        log = i.task.log
        where = files(i.key, log.to, log.stderr, log_dir)
        one = {"name": i.name, "key": i.key, "to": log.to, "format": log.format, "files": where}
        found.append({**one, "runs": ofrun.newest(parent, i), "unread": parent.host.unread(i.key)})
    client.answer({"instances": found, "history": past.answer(parent, [])["history"]})


def pending(answer: dict[str, Any]) -> bool:
    """Whether something is still on its way into the files; supctl then asks again, for a moment."""
    return any(one["unread"] for one in answer["instances"])


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any] | None:
    """The same without a supervisor: from the plan that it has left, for those who may read it."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - only here

    from supervisor.logs.places import files  # noqa: PLC0415 - only here
    from supervisor.store.plan import read  # noqa: PLC0415 - only here

    plan, found = read(runtime_dir), []
    for key in plan.get("instances", ()):
        task = key.rpartition(":")[0]
        if any(fnmatchcase(one, name) for name in options.names for one in (task, key)):
            log = plan["tasks"][task]["log"]
            where = files(key, log["to"], log["stderr"], plan["log_dir"])
            name = key.removesuffix(":1") if f"{task}:2" not in plan["instances"] else key
            one = {"name": name, "key": key, "to": log["to"], "format": log["format"], "files": where}
            found.append({**one, "runs": [], "unread": 0})
    return {"instances": found, "history": f"{plan['state_dir']}/history.db"} if found else None


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """The lines, those of several instances merged by time."""
    instances = [one for one in answer["instances"] if one["files"]]
    for one in answer["instances"]:
        if not one["files"]:
            screen.complain(f'supctl: {one["name"]}: nothing is kept of its output here: log.to = "{one["to"]}"')
        elif one["unread"]:
            screen.complain(f"supctl: {one['name']}: {one['unread']} bytes are still on their way to its file")
    name, run = ofrun.find(options.run, answer) if options.run and instances else ("", "")
    if run:
        instances = [one for one in instances if one["name"] == name]
    if not instances:
        return REFUSED
    wanted = Wanted(options, instances)
    show = _as_json(screen) if options.json else _as_text(screen, [one["name"] for one in instances])
    gaps = Gaps(screen)
    count = options.lines if options.lines is not None else None if wanted.all else 20
    readers = {one["name"]: _readers(one, gaps, run, whole=wanted.all or count is None) for one in instances}
    before = (_before(readings, options, wanted, count) for readings in readers.values())
    for _, name, line in heapq.merge(*before, key=lambda item: item[0]):
        show(name, line)
    if options.follow:
        _follow([one for readings in readers.values() for one in readings], wanted, show, screen)
    if run:
        _say_if_nothing(name, readers[name], screen)
    return REFUSED if gaps.found else OK


def _follow(readings: list[Reading], wanted: Wanted, show: Callable[[str, Line], None], screen: Screen) -> NoReturn:
    """Until Ctrl-C."""
    while True:
        for name, stream, reader in readings:
            for line in _parsed(reader.more(), stream):
                if wanted(line):
                    show(name, line)
        screen.out.flush()
        time.sleep(GLANCE)


def _say_if_nothing(name: str, readings: list[Reading], screen: Screen) -> None:
    """Of a run."""
    from supervisor.logs.ofrun import RunReader  # noqa: PLC0415 - in supctl, and only here

    if not any(isinstance(reader, RunReader) and reader.found for _, _, reader in readings):
        screen.complain(
            f"supctl: {name}: nothing of this run is there: it has said nothing, or that is gone (log.keep)"
        )


class Gaps:
    """Where something that should have been shown could not be: said at that place."""

    def __init__(self, screen: Screen) -> None:
        self.found = False
        self._screen = screen

    def of(self, name: str) -> Callable[[str], None]:
        """Who says it of an instance."""

        def missing(why: str) -> None:
            self.found = True
            self._screen.out.flush()
            self._screen.complain(f"supctl: {name}: lines may be missing here: {why}")

        return missing


class Wanted:
    """Which lines shall be shown."""

    def __init__(self, options: Namespace, instances: list[dict[str, Any]]) -> None:
        """Raises `RefusedError` for what cannot be told of these files."""
        self._stream = options.stream
        self._since, self._until = ("" if at is None else past.stamp(at) for at in (options.since, options.until))
        try:
            self._grep = re.compile(options.grep.encode()) if options.grep else None
        except re.error as error:
            raise RefusedError(f"--grep {options.grep!r}: {error}", USAGE) from None
        timed = self._since or self._until
        blind = [one["name"] for one in instances if one["format"] == "raw"]
        if timed and blind:
            raise RefusedError(f"{', '.join(blind)}: raw output has no times, so no --since and no --until", USAGE)
        merged = [name for name in blind if len(set(self._files(instances, name).values())) == 1]
        if self._stream and merged:
            raise RefusedError(
                f"{', '.join(merged)}: stdout and stderr cannot be told apart in a raw merged log", USAGE
            )
        self.all = bool(timed or self._stream or self._grep or options.run)

    @staticmethod
    def _files(instances: list[dict[str, Any]], name: str) -> dict[str, str]:
        files: dict[str, str] = next(one["files"] for one in instances if one["name"] == name)
        return files

    def __call__(self, line: Line) -> bool:
        """Whether this one."""
        return (
            (not self._stream or line.stream == self._stream)
            and (not line.at or self._since <= line.at <= (self._until or ALWAYS))
            and (self._grep is None or self._grep.search(line.text) is not None)
        )


def _readers(one: dict[str, Any], gaps: Gaps, run: str, *, whole: bool) -> list[Reading]:
    """One for each file of an instance; of a run, if there is one."""
    from supervisor.logs.ofrun import RunReader  # noqa: PLC0415 - in supctl, and only here
    from supervisor.logs.read import Reader  # noqa: PLC0415

    missing = gaps.of(one["name"])
    if run:
        return [(one["name"], stream, RunReader(path, run, missing)) for stream, path in _streams(one)]
    return [(one["name"], stream, Reader(path, missing, whole=whole)) for stream, path in _streams(one)]


def _before(
    readings: list[Reading], options: Namespace, wanted: Wanted, count: int | None
) -> Iterator[tuple[str, str, Line]]:
    """What is there already, of one instance: when, who, what. It is read on from there."""
    every = [
        _timed(name, (line for line in _parsed(_there(reader, options, wanted, count), stream) if wanted(line)))
        for name, stream, reader in readings
    ]
    merged = heapq.merge(*every, key=lambda item: item[0])
    if count is None:
        return merged
    from collections import deque  # noqa: PLC0415 - only here

    return iter(deque(merged, maxlen=count))


def _there(reader: Reader | RunReader, options: Namespace, wanted: Wanted, count: int | None) -> Iterator[bytes]:
    """The lines of one file: the last ones if that is all that is asked for."""
    from supervisor.logs.read import Reader  # noqa: PLC0415 - in supctl, and only here

    if count and isinstance(reader, Reader) and not wanted.all:
        yield from reader.last(count)
    yield from reader.more()
    if not options.follow:
        yield from reader.rest()


def _timed(name: str, lines: Iterable[Line]) -> Iterator[tuple[str, str, Line]]:
    """Each with its time, or that of the line before it: a raw line stays where it is."""
    at = ""
    for line in lines:
        at = line.at or at
        yield at, name, line


def _streams(one: dict[str, Any]) -> list[tuple[str, str]]:
    """The files, each with the stream that it is all of ("" for both)."""
    files = one["files"]
    if len(set(files.values())) < len(files):
        return [("", files["out"])]
    return list(files.items())


def _parsed(raw: Iterable[bytes], stream: str) -> Iterator[Line]:
    from supervisor.logs.read import parse  # noqa: PLC0415 - in supctl, and only here

    return (parse(line, stream) for line in raw)


def _as_json(screen: Screen) -> Callable[[str, Line], None]:
    import json  # noqa: PLC0415 - only here

    def show(name: str, line: Line) -> None:
        text = line.text.decode(errors="backslashreplace")
        value = {"time": line.at or None, "name": name, "stream": line.stream or None, "message": text}
        screen.line(json.dumps(value, ensure_ascii=False))

    return show


def _as_text(screen: Screen, names: list[str]) -> Callable[[str, Line], None]:
    """The line as it was said, after its time; stderr is marked; several instances have their names before it."""
    width = max(map(len, names))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}

    def show(name: str, line: Line) -> None:
        head = f"{name:<{width}} | " if len(names) > 1 else ""
        if head and screen.colour:
            head = f"\033[{colours[name]}m{head}\033[0m"
        stamp = f"{line.at} " if line.at else ""
        text = line.text.decode(errors="backslashreplace")
        if line.stream == "err":
            stamp += "err " if not screen.colour else "\033[31merr\033[0m "
        screen.line(f"{head}{stamp}{text}")

    return show
