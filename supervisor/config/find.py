"""Which file is the config, and why this one.

`-c FILE`, else `$SUPERVISOR_CONFIG`, else the first of three places that exists. Who names a file means
it: a named file that is missing is an error when it is read, never a reason to take another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supervisor.config.errors import ConfigError, ConfigErrors

PLACES = ("./supervisor.toml", "./conf/supervisor.toml", "/etc/supervisor/supervisor.toml")
VARIABLE = "SUPERVISOR_CONFIG"


def find(explicit: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The path of the config and a phrase that says why it is this one.

    Args:
        explicit: the argument of `-c`; None when it was not given.
        environ: where `$SUPERVISOR_CONFIG` is looked up; empty counts as not set.

    Raises:
        ConfigErrors: there is none; it says what was tried.
    """
    if explicit is not None:
        return explicit, "given with -c"
    if named := environ.get(VARIABLE):
        return named, f"named by ${VARIABLE}"
    for place in PLACES:
        if os.path.lexists(place):
            return place, f"the first that exists of {', '.join(PLACES)}"
    tried = f"${VARIABLE} is not set; there is no {', no '.join(PLACES)}"
    raise ConfigErrors([ConfigError("", 0, "", "", f"no config: {tried}; give one with -c FILE")])
