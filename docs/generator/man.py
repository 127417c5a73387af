"""The man pages: supctl(1), supervisor(8) and supervisor.toml(5)."""

from __future__ import annotations

from collections.abc import Iterable

from generator.arguments import usage, written
from generator.keys import TABLES, default_of, rows
from supervisor import verbs
from supervisor.cli import main as cli
from supervisor.program.main import HELP
from supervisor.version import __version__

SIGNALS = """SIGTERM and SIGINT stop every task and then the supervisor; the third one kills everything at once.
SIGHUP reloads the config."""

EXITS = """0 after an orderly end; 1 if it could not run; 2 on wrong usage; 69 after a shutdown by on_give_up;
78 if the config has errors."""


def roff(text: str) -> str:
    """Return a text that troff shows as it is."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)


def man(title: str, section: int, name: str, parts: Iterable[tuple[str, str]]) -> str:
    """Return a man page: the name line, and parts whose bodies are troff."""
    head = f'.TH {title.upper()} {section} "" "supctl {__version__}" "supervisor"\n.SH NAME\n{roff(name)}\n'
    return head + "".join(f".SH {heading}\n{body.rstrip()}\n" for heading, body in parts)


def example(text: str) -> str:
    """Return lines that are shown as they are."""
    return f".nf\n{roff(text)}\n.fi"


def supctl_man() -> str:
    """Return supctl(1)."""
    body = []
    for name, text in verbs.NAMES.items():
        module = verbs.load(name)
        body.append(
            f".SS {roff(name)}\n{roff(text[0].upper() + text[1:])}.\n.PP\n{example(usage(name, module.ARGUMENTS))}"
        )
        body += [f".TP\n.B {roff(written(one))}\n{roff(one.help)}" for one in module.ARGUMENTS if one.in_parser]
        body.append(f".PP\n{example(module.EXAMPLE)}")
    parts = [
        ("SYNOPSIS", ".B supctl\n.I VERB\n[ARGUMENT …]"),
        ("DESCRIPTION", roff(cli.DESCRIPTION)),
        ("VERBS", "\n".join(body)),
        ("EXIT STATUS", roff(cli.EPILOG.partition("\n\n")[0].removeprefix("exit codes: "))),
        ("SEE ALSO", ".BR supervisor (8),\n.BR supervisor.toml (5)"),
    ]
    return man("supctl", 1, "supctl - talk to the supervisor of the background tasks of this machine", parts)


def supervisor_man() -> str:
    """Return supervisor(8)."""
    usage_line, _, rest = HELP.partition("\n\n")
    description, _, options = rest.partition("\n\n")
    parts = [
        ("SYNOPSIS", example(usage_line.removeprefix("usage: "))),
        ("DESCRIPTION", roff(description)),
        ("OPTIONS", example(options)),
        ("SIGNALS", roff(SIGNALS)),
        ("EXIT STATUS", roff(EXITS)),
        ("SEE ALSO", ".BR supctl (1),\n.BR supervisor.toml (5)"),
    ]
    return man("supervisor", 8, "supervisor - run the background tasks of a machine as their parent process", parts)


def toml_man() -> str:
    """Return supervisor.toml(5)."""
    parts = [("DESCRIPTION", roff("The config of supervisor(8), in TOML. supctl check reports every error of a file."))]
    for heading, keys in TABLES.values():
        body = []
        for name, key in rows(keys):
            default = f" Default: {default_of(key)}." if default_of(key) else ""
            later = " Not available yet in this version." if key.instead else ""
            body.append(f'.TP\n.BR {roff(name)} " ({roff(key.type.words)})"\n{roff(key.doc)}.{roff(default)}{later}')
        parts.append((heading.upper(), "\n".join(body)))
    parts.append(("SEE ALSO", ".BR supervisor (8),\n.BR supctl (1)"))
    return man("supervisor.toml", 5, "supervisor.toml - the config of supervisor", parts)
