"""The arguments of verbs, as a command line writes them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from supervisor.verbs.arguments import FLAG, STRINGS, Argument, add_to


def usage(name: str, arguments: Iterable[Argument]) -> str:
    """Return the line of usage of a verb, as argparse writes it."""
    listed = list(arguments)
    parser = argparse.ArgumentParser(f"supctl {name}", add_help=False)
    add_to(parser, listed)
    words = " -- ARG …" if any(one.kind == STRINGS and not one.in_parser for one in listed) else ""
    return " ".join(parser.format_usage().removeprefix("usage: ").split()) + words


def written(argument: Argument) -> str:
    """Return how an argument is written on a command line."""
    value = argument.metavar or ("" if argument.kind == FLAG else "|".join(argument.choices) or "VALUE")
    if not argument.flags:
        return argument.metavar or "|".join(argument.choices)
    return f"{', '.join(argument.flags)}{f' {value}' if value else ''}"
