"""`supctl VERB …`: reads the arguments, asks the supervisor, shows the answer."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

from supervisor import verbs
from supervisor.cli.live import PATIENCE, Live
from supervisor.verbs.interface import OK, REFUSED, UNREACHABLE, USAGE, RefusedError
from supervisor.verbs.screen import Screen

DESCRIPTION = "Talk to the supervisor of the background tasks of this machine."
EPILOG = """exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 something wanted is not running, or is held;
4 no such task, run or group; 5 the supervisor cannot be reached

example:
  supctl status
  supctl freeze --reason "bad deploy"; supctl why web; supctl thaw

`supctl VERB --help` says more about a verb."""

INTERRUPTED = 130
"""Ctrl-C, as a shell reports it."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point. Ends the process with an exit code of the contract's section 7."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # `supctl events | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = OK
    except OSError as error:  # a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = _complain(str(error) if error.filename else f"cannot write: {error.strerror}", REFUSED)
    sys.exit(code)


def run(words: list[str]) -> int:
    """One command line. Returns its exit code."""
    cut = words.index("--") if "--" in words else len(words)
    verb = _verb_in(words[:cut])
    if verb and verb not in verbs.NAMES:
        return _complain(_unknown(verb), USAGE)
    whole = parser(verb)
    options = whole.parse_args(words[:cut])
    options.words = words[cut + 1 :]
    module: ModuleType = verbs.load(options.verb)
    if options.words and options.verb != "run":
        whole.error(f"{options.verb} takes no words after --")
    screen = Screen()
    try:
        if hasattr(module, "local"):
            options.whole_parser = parser
            return int(module.local(options, screen))
        return _ask(module, options, screen)
    except RefusedError as refusal:
        return _complain(str(refusal), refusal.exit_code)


def _ask(module: ModuleType, options: argparse.Namespace, screen: Screen) -> int:
    from supervisor.control.client import Connection, UnreachableError, default_socket  # noqa: PLC0415 - not for --help

    path = options.socket or os.environ.get("SUPERVISOR_SOCKET") or default_socket()
    request = module.request(options)
    try:
        with closing(Connection(path)) as connection:
            if not getattr(options, "watch", False):
                ask = partial(_settled, module, connection, options, request, screen)
                answer = _through(module, path, options, ask)
                return int(module.render(answer, options, screen))
            while True:
                answer = _answer(connection, options, request, screen)
                with _page(screen):
                    module.render(answer, options, screen)
                if not getattr(module, "pause", _pause)(options):
                    return OK
    except UnreachableError as error:
        offline = getattr(module, "OFFLINE", None)
        if hasattr(module, "offline"):
            offline = module.offline(options, os.path.dirname(path))
        if offline and offline.get("usual"):
            screen.complain(f"supctl: {error}; this is what was left in {offline['usual']}")
        return int(module.render(offline, options, screen)) if offline else _complain(str(error), UNREACHABLE)


def _pause(options: argparse.Namespace) -> bool:
    """Until it is shown anew. A verb with keys of its own has its own; False ends it."""
    time.sleep(options.interval)
    return True


REPLACED_WITHIN = 60.0
"""Seconds for a supervisor that replaces itself to answer again."""


def _through(module: ModuleType, path: str, options: argparse.Namespace, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
    """The answer, also of a verb in the midst of which the supervisor hangs up, as another program takes its place."""
    from supervisor.control.client import Connection, UnreachableError  # noqa: PLC0415

    try:
        return ask()
    except UnreachableError as error:
        if not hasattr(module, "hung_up"):
            raise
        last = error
    until = time.monotonic() + REPLACED_WITHIN
    while time.monotonic() < until:
        time.sleep(0.05)
        try:
            with closing(Connection(path)) as connection:
                said = [message for message in connection.ask("version", {}) if message][-1]
        except UnreachableError as error:  # not there yet
            last = error
            continue
        outcome = module.hung_up(said.get("answer"), options)
        if outcome is not None:
            return outcome
    raise last


def _settled(
    module: ModuleType,
    connection: Any,  # noqa: ANN401
    options: argparse.Namespace,
    request: dict[str, Any],
    screen: Screen,
) -> Any:  # noqa: ANN401
    """The answer; one that says that more is on its way is asked for again, for a second."""
    answer = _answer(connection, options, request, screen)
    for _ in range(20):
        if not (hasattr(module, "pending") and module.pending(answer)):
            break
        time.sleep(0.05)
        answer = _answer(connection, options, request, screen)
    return answer


def _answer(connection: Any, options: argparse.Namespace, request: dict[str, Any], screen: Screen) -> Any:  # noqa: ANN401
    """The answer of a request. Shows events as they come, and on a terminal what a longer request waits for."""
    live = Live(options.verb, sys.stderr, quiet=getattr(options, "json", False) or getattr(options, "follow", False))
    try:
        for message in connection.ask(options.verb, request, PATIENCE if live.on else None):
            if message is None:
                pass
            elif "event" in message:
                screen.line(_one_line(message["event"]))
                screen.out.flush()
            elif "progress" in message:
                live.take(message["progress"])
            elif "error" in message:
                raise RefusedError(message["error"], message["exit"])
            else:
                return message["answer"]
            live.show()
    finally:
        live.clear()
    raise AssertionError("the connection says how it ended")


@contextmanager
def _page(screen: Screen) -> Iterator[None]:
    """What is shown inside replaces what was shown before; not on a terminal, it follows it."""
    if not screen.out.isatty():
        yield
        screen.out.flush()
        return
    import io  # noqa: PLC0415 - only here

    terminal, screen.out = screen.out, io.StringIO()
    try:
        yield
        lines = [f"{time.strftime('%H:%M:%S')}  Ctrl-C ends this", "", *screen.out.getvalue().splitlines()]
    finally:
        screen.out = terminal
    size = os.get_terminal_size(terminal.fileno())
    page = "\n".join(f"{line}\033[K" for line in lines[: size.lines - 1])
    terminal.write(f"\033[H\033[?7l{page}\033[?7h\033[J")  # long lines are cut, not wrapped
    terminal.flush()


def _one_line(value: object) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _complain(text: str, code: int) -> int:
    sys.stderr.write("".join(f"supctl: {line}\n" for line in text.splitlines()))
    return code


def _unknown(verb: str) -> str:
    from supervisor.core.nearest import nearest  # noqa: PLC0415 - only then

    near = nearest(verb, verbs.NAMES)
    return f"no verb {verb!r}; " + (f"did you mean {near!r}?" if near else "see `supctl --help`")


def _verb_in(words: list[str]) -> str | None:
    """The verb of a command line, if it can be told without parsing: then only its parser is made."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "--socket":
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of one verb, or of all."""
    plain = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser("supctl", description=DESCRIPTION, epilog=EPILOG, formatter_class=plain)
    _add_socket(whole, default=None)
    below = whole.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for name in [verb] if verb else verbs.NAMES:
        module = verbs.load(name)
        text = verbs.NAMES[name]
        example = "example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE.splitlines())
        one = below.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=example, formatter_class=plain
        )
        module.arguments(one)
        if not hasattr(module, "local"):
            _add_socket(one, default=argparse.SUPPRESS)  # one before the verb stays
    return whole


def _add_socket(one: argparse.ArgumentParser, default: str | None) -> None:
    text = "of the supervisor; default: $SUPERVISOR_SOCKET, or the usual place"
    one.add_argument("--socket", metavar="PATH", default=default, help=text)
