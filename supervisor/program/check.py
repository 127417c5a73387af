"""`supervisor --check`: can a supervisor run this config?"""

from __future__ import annotations

import os
import sys
from functools import partial
from io import TextIOWrapper

from supervisor.config import judge
from supervisor.core.exits import EX_CONFIG, FAILED
from supervisor.core.words import in_words
from supervisor.host.patience import patiently


def check(explicit: str | None, *, strict: bool = True) -> int:
    """Check the config, print what is wrong with it, and return the exit code.

    With `strict`, errors of the machine count as well. Without it, the check accepts the same configs as a start.
    """
    try:
        verdict = patiently(partial(judge, beforehand=strict), explicit, os.environ)
    except OSError as error:
        sys.stderr.write(f"supervisor: cannot check the config: {in_words(error)}\n")
        return FAILED
    sys.stderr.write("".join(f"{error}\n" for error in verdict.found.errors))
    if verdict.config is None or (verdict.found.errors and strict):
        return EX_CONFIG
    sys.stderr.write("".join(f"warning: {text}\n" for text in verdict.warnings))
    if isinstance(sys.stdout, TextIOWrapper):  # characters that the locale lacks become escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(f"{verdict.summary}\n")
    return 0
