"""`supctl import`: print a config for the jobs of another program, without a supervisor."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED, USAGE
from supervisor.verbs.arguments import FLAG, VIEW, Argument
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace

EXAMPLE = """supctl import crontab > tasks.d/cron.toml
supctl import crontab --user www-data
supctl import crontab --system /etc/cron.d/backup"""


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    Argument("format", "of what: crontab", metavar="FORMAT", local=True),
    Argument("file", "- is stdin; default: the crontab of the user", many="?", metavar="FILE", local=True),
    Argument("user", "whose crontab it is; default: the caller's", "--user", metavar="NAME", local=True),
    Argument(
        "system",
        "the crontab names a user for each job; default: for /etc/crontab and the files of /etc/cron.d",
        "--system",
        kind=FLAG,
        local=True,
    ),
    Argument("strict", "exit with 1 if a line is not imported", "--strict", kind=FLAG, local=True),
)


def local(options: Namespace, screen: Screen) -> int:
    """Translate the file. The page goes to stdout, and what a person should know to stderr as well."""
    from supervisor import imports  # noqa: PLC0415 - the parent loads this module, too
    from supervisor.imports.interface import ImportFailedError, Source  # noqa: PLC0415

    if options.format not in imports.FORMATS:
        raise _unavailable(options.format, tuple(imports.FORMATS), imports.LATER)
    try:
        found = imports.load(options.format).read(Source(options.file or "", options.user or "", options.system))
    except (OSError, ImportFailedError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise RefusedError(f"cannot import: {reason}") from None
    screen.write(found.text)
    for text in found.unknown:
        screen.complain(text)
    for text in found.warnings:
        screen.complain(f"warning: {text}")
    return REFUSED if found.unknown and options.strict else OK


def _unavailable(name: str, known: tuple[str, ...], later: tuple[str, ...]) -> RefusedError:
    from supervisor.config.messages import NOT_YET, meant, quote  # noqa: PLC0415

    if name in later:
        return RefusedError(f"the format {quote(name)} is {NOT_YET}; available: {', '.join(known)}")
    return RefusedError(f"{quote(name)} is not a format; {meant(name, known)}", USAGE)
