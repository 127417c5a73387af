"""`supctl completion`: a completion script, made from the argument parsers by shtab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import OK, RefusedError
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLE = """supctl completion bash > /etc/bash_completion.d/supctl
supctl completion zsh > /usr/local/share/zsh/site-functions/_supctl"""


def arguments(parser: ArgumentParser) -> None:
    """SHELL."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def local(options: Namespace, screen: Screen) -> int:
    """The script on stdout."""
    try:
        import shtab  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise RefusedError("completion needs the package shtab: pip install 'supctl[completion]'") from None
    screen.line(shtab.complete(options.whole_parser(), options.shell))
    return OK
