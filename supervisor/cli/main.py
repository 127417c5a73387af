"""`supctl VERB …`: read the arguments, ask the supervisor, show the answer."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import TextIOWrapper
from types import ModuleType

from supervisor import verbs
from supervisor.cli.following import messages
from supervisor.cli.live import PATIENCE, Live
from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED, UNREACHABLE, USAGE
from supervisor.core.text import visible
from supervisor.host import stdio
from supervisor.verbs.arguments import add_to, request_of
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

DESCRIPTION = "Talk to the supervisor of the background tasks of this machine."
EPILOG = """exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 something wanted is not running, or is held;
4 no such task, run or group; 5 the supervisor cannot be reached

example:
  supctl status
  supctl freeze --reason "bad deploy"; supctl why web; supctl thaw

`supctl VERB --help` says more about a verb."""

WITH_WORDS = ("run", "pool")
"""The verbs that take words after --."""

INTERRUPTED = 130
"""Ctrl-C, as a shell reports it."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program. End the process with an exit code of the contract's section 7."""
    stdio.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # characters that the locale lacks are shown as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
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
    """Run one command line. Return its exit code."""
    cut = words.index("--") if "--" in words else len(words)
    verb = _verb_in(words[:cut])
    if verb and verb not in verbs.NAMES:
        return _complain(_unknown(verb), USAGE)
    whole = parser(verb)
    options = _parsed(whole, words[:cut])
    options.words = words[cut + 1 :]
    module: ModuleType = verbs.load(options.verb)
    if options.words and options.verb not in WITH_WORDS:
        whole.error(f"{options.verb} takes no words after --")
    screen = Screen()
    try:
        if hasattr(module, "local"):
            options.whole_parser = parser
            return int(module.local(options, screen))
        return _ask(module, options, screen)
    except RefusedError as refusal:
        return _complain(str(refusal), refusal.exit_code)


def _parsed(whole: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Parse a command line. `argparse` of Python 3.11 takes no optional word after an option: `x --system FILE`."""
    options, left = whole.parse_known_args(words)
    missing = [
        one for one in verbs.load(options.verb).ARGUMENTS if one.many == "?" and getattr(options, one.name) is None
    ]
    if len(left) == 1 and missing and (left[0] == "-" or not left[0].startswith("-")):
        setattr(options, missing[0].name, left.pop())
    if left:
        whole.error(f"unrecognized arguments: {' '.join(left)}")
    return options


def _ask(module: ModuleType, options: argparse.Namespace, screen: Screen) -> int:
    from supervisor.control.client import Connection, UnreachableError, default_socket  # noqa: PLC0415 - not for --help

    path = options.socket or os.environ.get("SUPERVISOR_SOCKET") or default_socket()
    if hasattr(module, "prepare"):
        module.prepare(options)
    connections = 0
    while True:
        request, before = request_of(module.ARGUMENTS, options), connections
        try:
            with closing(Connection(path)) as connection:
                connections += 1
                if hasattr(module, "descriptor"):
                    connection.attach(module.descriptor(options))
                return _asked(module, connection, options, request, screen)
        except UnreachableError as error:
            if connections and hasattr(module, "again") and module.again(options, broken=connections > before):
                continue
            offline = getattr(module, "OFFLINE", None)
            if hasattr(module, "offline"):
                offline = module.offline(options, os.path.dirname(path))
            if offline and offline.get("usual"):
                screen.complain(f"supctl: {error}; this was read from {offline['usual']}")
            return int(module.render(offline, options, screen)) if offline else _complain(str(error), UNREACHABLE)


def _asked(
    module: ModuleType,
    connection: Any,  # noqa: ANN401
    options: argparse.Namespace,
    request: dict[str, Any],
    screen: Screen,
) -> int:
    """Ask over a connection, and show the answer; with --watch, page after page. Return the exit code."""
    if not getattr(options, "watch", False):
        answer = _complete(module, connection, options, request, screen)
        return int(module.render(answer, options, screen))
    while True:
        answer = _answer(module, connection, options, request, screen)
        with _page(screen):
            module.render(answer, options, screen)
        if not getattr(module, "pause", _pause)(options):
            return OK


def _pause(options: argparse.Namespace) -> bool:
    """Wait until the next page. A verb with keys has its own `pause`. False ends the display."""
    time.sleep(options.interval)
    return True


def _complete(
    module: ModuleType,
    connection: Any,  # noqa: ANN401
    options: argparse.Namespace,
    request: dict[str, Any],
    screen: Screen,
) -> Any:  # noqa: ANN401
    """Return the answer. If more output is on its way, ask again, for at most a second."""
    answer = _answer(module, connection, options, request, screen)
    for _ in range(20):
        if not (hasattr(module, "pending") and module.pending(answer)):
            break
        time.sleep(0.05)
        answer = _answer(module, connection, options, request, screen)
    return answer


def _answer(
    module: ModuleType,
    connection: Any,  # noqa: ANN401
    options: argparse.Namespace,
    request: dict[str, Any],
    screen: Screen,
) -> Any:  # noqa: ANN401
    """Return the answer to a request. Show events as they come, and on a terminal what a longer request waits for."""
    live = Live(options.verb, sys.stderr, quiet=getattr(options, "json", False) or getattr(options, "follow", False))
    try:
        every, lost = PATIENCE if live.on else None, getattr(module, "lost", None)
        for message in messages(connection, options.verb, request, every, lost):
            if message is None:
                pass
            elif "event" in message:
                screen.json_line(message["event"])
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
    raise AssertionError("the connection ends with an answer or an error")


@contextmanager
def _page(screen: Screen) -> Iterator[None]:
    """Replace the previous page on a terminal. Elsewhere, append the new page."""
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


def _complain(text: str, code: int) -> int:
    sys.stderr.write("".join(f"supctl: {visible(line)}\n" for line in text.splitlines()))
    return code


def _unknown(verb: str) -> str:
    from supervisor.core.nearest import nearest  # noqa: PLC0415 - only then

    near = nearest(verb, verbs.NAMES)
    return f"no verb {verb!r}; " + (f"did you mean {near!r}?" if near else "see `supctl --help`")


def _verb_in(words: list[str]) -> str | None:
    """Return the verb of a command line, if it is clear without parsing. Then only that verb's parser is made."""
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
    """Make the parser of one verb, or of all."""
    whole = argparse.ArgumentParser("supctl", description=DESCRIPTION, epilog=EPILOG, formatter_class=_Help)
    _add_socket(whole, default=None)
    below = whole.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for name in [verb] if verb else verbs.NAMES:
        module = verbs.load(name)
        text = verbs.NAMES[name]
        example = "example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE.splitlines())
        one = below.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=example, formatter_class=_Help
        )
        add_to(one, module.ARGUMENTS)
        if not hasattr(module, "local"):
            _add_socket(one, default=argparse.SUPPRESS)  # an option before the verb stays valid
    return whole


class _Help(argparse.RawDescriptionHelpFormatter):
    """Finds the width itself. argparse would load five modules for it with each command, even without help."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width() - 2)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size().columns or 80
    except OSError:  # no terminal
        return 80


def _add_socket(one: argparse.ArgumentParser, default: str | None) -> None:
    text = "its socket; default: $SUPERVISOR_SOCKET, or the one in the default runtime_dir"
    one.add_argument("--socket", metavar="PATH", default=default, help=text)
