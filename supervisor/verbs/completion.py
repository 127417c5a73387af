"""`supctl completion`: a completion script, which shtab makes from the argument parsers."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK
from supervisor.verbs.arguments import VIEW, Argument
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace

EXAMPLE = """supctl completion bash > /etc/bash_completion.d/supctl
supctl completion zsh > /usr/local/share/zsh/site-functions/_supctl"""


ROLE, ACTS = VIEW, False

ARGUMENTS = (Argument("shell", "for which shell", choices=("bash", "zsh", "tcsh"), local=True),)


def local(options: Namespace, screen: Screen) -> int:
    """Write the script to stdout."""
    try:
        import shtab  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise RefusedError("completion needs the package shtab: pip install 'supctl[completion]'") from None
    screen.write(shtab.complete(options.whole_parser(), options.shell))
    return OK
