"""`supctl VERB …`: reads the arguments, asks the supervisor, shows the answer."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from supervisor import verbs
from supervisor.verbs.interface import OK, UNREACHABLE, RefusedError
from supervisor.verbs.screen import Screen

DESCRIPTION = "Talk to the supervisor of the background tasks of this machine."
EPILOG = """exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 something wanted is not running, or is held;
4 no such task, run or group; 5 the supervisor cannot be reached

example:
  supctl status
  supctl freeze --reason "bad deploy"; supctl why web; supctl thaw"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point. Ends the process with an exit code of the contract's section 7."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # `supctl events | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = OK
    sys.exit(code)


def run(words: list[str]) -> int:
    """One command line. Returns its exit code."""
    cut = words.index("--") if "--" in words else len(words)
    whole = parser(_verb_in(words))
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
        while True:
            answer = _answer(Connection(path), options, request, screen)
            if getattr(options, "watch", None) and screen.out.isatty():
                screen.line(f"\033[H\033[2J{time.strftime('%H:%M:%S')}  supctl {' '.join(sys.argv[1:])}\n")
            code = int(module.render(answer, options, screen))
            if not getattr(options, "watch", None):
                return code
            screen.out.flush()
            time.sleep(max(0.1, options.watch))
    except UnreachableError as error:
        offline = getattr(module, "OFFLINE", None)
        return int(module.render(offline, options, screen)) if offline else _complain(str(error), UNREACHABLE)


def _answer(connection: Any, options: argparse.Namespace, request: dict[str, Any], screen: Screen) -> Any:  # noqa: ANN401
    """The answer of a request. Shows events as they come, and on a terminal how far a longer one is."""
    live = sys.stderr.isatty() and not getattr(options, "json", False)
    began, done = time.monotonic(), 0
    for message in connection.ask(options.verb, request):
        if "event" in message:
            screen.line(_one_line(message["event"]))
            screen.out.flush()
        elif "progress" in message:
            done += 1
            if live and time.monotonic() - began > 1:
                sys.stderr.write(f"\r\033[K{options.verb}: {done} done, last {message['progress']['name']}")
        elif "error" in message:
            raise RefusedError(message["error"], message["exit"])
        else:
            if live and done and time.monotonic() - began > 1:
                sys.stderr.write("\r\033[K")
            return message["answer"]
    raise AssertionError("the connection says how it ended")


def _one_line(value: object) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _complain(text: str, code: int) -> int:
    sys.stderr.write("".join(f"supctl: {line}\n" for line in text.splitlines()))
    return code


def _verb_in(words: list[str]) -> str | None:
    """The verb of a command line, if it can be told without parsing: then only its parser is made."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "--socket":
            skip = True
        elif not word.startswith("-"):
            return word if word in verbs.NAMES else None
    return None


def parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of one verb, or of all."""
    whole = argparse.ArgumentParser(
        "supctl", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument("--socket", metavar="PATH", help="default: $SUPERVISOR_SOCKET, or the usual place")
    below = whole.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for name in [verb] if verb else verbs.NAMES:
        module = verbs.load(name)
        text = verbs.NAMES[name]
        module.arguments(
            below.add_parser(
                name,
                help=text,
                description=f"{text[0].upper()}{text[1:]}.",
                epilog="example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE.splitlines()),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return whole
