"""`supctl logs`: the output of tasks.

The supervisor only returns the paths of the files; `supctl` reads them. Some output may not have reached its file yet
(`unread`). `supctl` waits for it for a moment. So it also shows the last words of a task that has just died.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED, USAGE
from supervisor.core.text import visible
from supervisor.store import layout
from supervisor.verbs import history_reader, ofrun
from supervisor.verbs.arguments import FLAG, MOMENT, NUMBER, ONE_OR_MORE, VIEW, Argument
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any, NoReturn

    from supervisor.control.wait import Asker
    from supervisor.logs.read import Line, Reader
    from supervisor.logs.run_reader import RunReader
    from supervisor.shell.controls import Controls

    Reading = tuple[str, str, Reader | RunReader]
    """Instance, stream ("" for both), and reader."""

EXAMPLE = """supctl logs web
supctl logs -f web mail-sender
supctl logs web --since 10m --stderr --grep 'timeout|refused'"""

TAB = "\t"

GLANCE = 0.2
"""Seconds between two looks at files that are followed."""

ALWAYS = "9"
"""A string that sorts after every time."""

_COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    ONE_OR_MORE,
    Argument("follow", "then show each new line, until Ctrl-C", "-f", "--follow", kind=FLAG, local=True),
    Argument(
        "lines", "the last N lines of each; default: 20, or all", "-n", "--lines", kind=NUMBER, metavar="N", local=True
    ),
    Argument("since", history_reader.MOMENT, "--since", kind=MOMENT, metavar="T", local=True),
    Argument("until", "likewise", "--until", kind=MOMENT, metavar="T", local=True),
    Argument("run", "only the output of this run; see `supctl runs`", "--run", metavar="ID", local=True),
    Argument("stdout", "only stdout", "--stdout", kind=FLAG, local=True, group="stream"),
    Argument("stderr", "only stderr", "--stderr", kind=FLAG, local=True, group="stream"),
    Argument("grep", "only lines that match this regular expression", "--grep", metavar="RE", local=True),
    Argument("json", "one JSON object a line", "--json", kind=FLAG, local=True, group="form"),
    Argument("raw", "each byte as the task wrote it, also on a terminal", "--raw", kind=FLAG, local=True, group="form"),
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer where the output of each instance is, how much of it is still on its way, and its last runs."""
    from supervisor.logs.names import files  # noqa: PLC0415 - not in supctl

    log_dir, found = controls.context.config.settings.log_dir, []
    for i in chosen(controls.fleet, args):
        log = i.task.log
        where = files(i.key, log.to, log.stderr, log_dir)
        one = {"name": i.name, "key": i.key, "to": log.to, "format": log.format, "files": where}
        found.append({**one, "runs": ofrun.newest(controls, i), "unread": controls.host.unread(i.key)})
    client.answer({"instances": found, "history": history_reader.answer(controls, [])["history"]})


def pending(answer: dict[str, Any]) -> bool:
    """Return whether output is still on its way into the files. supctl then asks again, for a moment."""
    return any(one["unread"] for one in answer["instances"])


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any] | None:
    """Return the same without a supervisor, from the manifest that it has left, if this user may read it."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - only here

    from supervisor.logs.names import files  # noqa: PLC0415 - only here
    from supervisor.store.manifest import read  # noqa: PLC0415 - only here

    manifest, found = read(runtime_dir), []
    for key in manifest.get("instances", ()):
        task = key.rpartition(":")[0]
        if any(fnmatchcase(one, name) for name in options.names for one in (task, key)):
            log = manifest["tasks"][task]["log"]
            where = files(key, log["to"], log["stderr"], manifest["log_dir"])
            name = key.removesuffix(":1") if f"{task}:2" not in manifest["instances"] else key
            one = {"name": name, "key": key, "to": log["to"], "format": log["format"], "files": where}
            found.append({**one, "runs": [], "unread": 0})
    return {"instances": found, "history": layout.history(manifest["state_dir"])} if found else None


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the lines. Merge those of several instances by time."""
    instances = [one for one in answer["instances"] if one["files"]]
    for one in answer["instances"]:
        if not one["files"]:
            screen.complain(f'supctl: {one["name"]}: its output is not kept in a file: log.to = "{one["to"]}"')
        elif one["unread"]:
            screen.complain(f"supctl: {one['name']}: {one['unread']} bytes are not in its file yet")
    name, run = ofrun.find(options.run, answer) if options.run and instances else ("", "")
    if run:
        instances = [one for one in instances if one["name"] == name]
    if not instances:
        return REFUSED
    history_reader.check_answers(path for one in instances for path in one["files"].values())
    wanted = Wanted(options, instances)
    show = (
        _as_json(screen)
        if options.json
        else _as_text(screen, [one["name"] for one in instances], raw=options.raw or not screen.out.isatty())
    )
    gaps = Gaps(screen)
    count = options.lines if options.lines is not None else None if wanted.all else 20
    readers = {one["name"]: _readers(one, gaps, run, whole=wanted.all or count is None) for one in instances}
    before = (_before(readings, options, wanted, count) for readings in readers.values())
    for _, name, line in heapq.merge(*before, key=lambda item: item[0]):
        show(name, line)
    if options.follow:
        _follow([one for readings in readers.values() for one in readings], wanted, show, screen)
    if run:
        _complain_if_nothing(name, readers[name], screen)
    return REFUSED if gaps.found else OK


def _follow(readings: list[Reading], wanted: Wanted, show: Callable[[str, Line], None], screen: Screen) -> NoReturn:
    """Show new lines until Ctrl-C."""
    while True:
        for name, stream, reader in readings:
            for line in _parsed(reader.more(), stream):
                if wanted(line):
                    show(name, line)
        screen.out.flush()
        time.sleep(GLANCE)


def _complain_if_nothing(name: str, readings: list[Reading], screen: Screen) -> None:
    """Say so if a run has no output."""
    from supervisor.logs.run_reader import RunReader  # noqa: PLC0415 - in supctl, and only here

    if not any(isinstance(reader, RunReader) and reader.found for _, _, reader in readings):
        screen.complain(f"supctl: {name}: no output of this run: it wrote nothing, or the file is gone (log.keep)")


class Gaps:
    """Reports missing lines at the place where they are missing."""

    def __init__(self, screen: Screen) -> None:
        self.found = False
        self._screen = screen

    def of(self, name: str) -> Callable[[str], None]:
        """Return the function that reports missing lines of an instance."""

        def missing(why: str) -> None:
            self.found = True
            self._screen.out.flush()
            self._screen.complain(f"supctl: {name}: lines may be missing here: {why}")

        return missing


class Wanted:
    """Selects the lines to show."""

    def __init__(self, options: Namespace, instances: list[dict[str, Any]]) -> None:
        """Raise `RefusedError` if these files cannot answer the options."""
        self._stream = "out" if options.stdout else "err" if options.stderr else None
        self._since, self._until = (
            "" if at is None else history_reader.stamp(at) for at in (options.since, options.until)
        )
        try:
            self._grep = re.compile(options.grep.encode()) if options.grep else None
        except re.error as error:
            raise RefusedError(f"--grep {options.grep!r}: {error}", USAGE) from None
        timed = self._since or self._until
        blind = [one["name"] for one in instances if one["format"] == "raw"]
        if timed and blind:
            raise RefusedError(
                f"{', '.join(blind)}: raw output has no times, so --since and --until cannot be used", USAGE
            )
        merged = [name for name in blind if len(set(self._files(instances, name).values())) == 1]
        if self._stream and merged:
            raise RefusedError(
                f"{', '.join(merged)}: a raw merged log does not show what is stdout and what is stderr", USAGE
            )
        self.all = bool(timed or self._stream or self._grep or options.run)

    @staticmethod
    def _files(instances: list[dict[str, Any]], name: str) -> dict[str, str]:
        files: dict[str, str] = next(one["files"] for one in instances if one["name"] == name)
        return files

    def __call__(self, line: Line) -> bool:
        """Return whether to show this line."""
        return (
            (not self._stream or line.stream == self._stream)
            and (not line.at or self._since <= line.at <= (self._until or ALWAYS))
            and (self._grep is None or self._grep.search(line.text) is not None)
        )


def _readers(one: dict[str, Any], gaps: Gaps, run: str, *, whole: bool) -> list[Reading]:
    """Return a reader for each file of an instance, only of `run` if one is given."""
    from supervisor.logs.read import Reader  # noqa: PLC0415
    from supervisor.logs.run_reader import RunReader  # noqa: PLC0415 - in supctl, and only here

    missing = gaps.of(one["name"])
    if run:
        return [(one["name"], stream, RunReader(path, run, missing)) for stream, path in _streams(one)]
    return [(one["name"], stream, Reader(path, missing, whole=whole)) for stream, path in _streams(one)]


def _before(
    readings: list[Reading], options: Namespace, wanted: Wanted, count: int | None
) -> Iterator[tuple[str, str, Line]]:
    """Return the existing lines of one instance, each as time, name and line. Reading goes on from there."""
    every = [
        _timed(name, (line for line in _parsed(_lines_of(reader, options, wanted, count), stream) if wanted(line)))
        for name, stream, reader in readings
    ]
    merged = heapq.merge(*every, key=lambda item: item[0])
    if count is None:
        return merged
    from collections import deque  # noqa: PLC0415 - only here

    return iter(deque(merged, maxlen=count))


def _lines_of(reader: Reader | RunReader, options: Namespace, wanted: Wanted, count: int | None) -> Iterator[bytes]:
    """Return the lines of one file; only the last ones if no more are asked for."""
    from supervisor.logs.read import Reader  # noqa: PLC0415 - in supctl, and only here

    if count and isinstance(reader, Reader) and not wanted.all:
        yield from reader.last(count)
    yield from reader.more()
    if not options.follow:
        yield from reader.unfinished()


def _timed(name: str, lines: Iterable[Line]) -> Iterator[tuple[str, str, Line]]:
    """Yield each line with its time, or with that of the line before it. So a raw line keeps its place."""
    at = ""
    for line in lines:
        at = line.at or at
        yield at, name, line


def _streams(one: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the files, each with its only stream ("" for both)."""
    files = one["files"]
    if len(set(files.values())) < len(files):
        return [("", files["out"])]
    return list(files.items())


def _parsed(raw: Iterable[bytes], stream: str) -> Iterator[Line]:
    from supervisor.logs.read import parse  # noqa: PLC0415 - in supctl, and only here

    return (parse(line, stream) for line in raw)


def _as_json(screen: Screen) -> Callable[[str, Line], None]:

    def show(name: str, line: Line) -> None:
        text = line.text.decode(errors="backslashreplace")
        screen.json_line({"time": line.at or None, "name": name, "stream": line.stream or None, "message": text})

    return show


def _as_text(screen: Screen, names: list[str], *, raw: bool) -> Callable[[str, Line], None]:
    """Return a function that shows a line after its time. It marks stderr. With several instances it shows the names.

    It shows terminal control sequences as escapes, unless `raw` is set.
    """
    width = max(map(len, names))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}

    def show(name: str, line: Line) -> None:
        head = f"{name:<{width}} | " if len(names) > 1 else ""
        if head and screen.colour:
            head = f"\033[{colours[name]}m{head}\033[0m"
        stamp = f"{line.at} " if line.at else ""
        if line.stream == "err":
            stamp += "err " if not screen.colour else "\033[31merr\033[0m "
        if raw:
            screen.bytes(f"{head}{stamp}".encode() + line.text)
        else:
            screen.write(f"{head}{stamp}{visible(line.text.decode(errors='surrogateescape'), keep=TAB)}")

    return show
