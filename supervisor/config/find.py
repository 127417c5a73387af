"""Choose the config file, and say why it is this one.

The file is `-c FILE`, else `$SUPERVISOR_CONFIG`, else the first of three paths that exists. A file that a person names
is never replaced by another one: if it is missing, reading it is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supervisor.config.errors import ConfigError, ConfigErrors

PLACES = ("./supervisor.toml", "./conf/supervisor.toml", "/etc/supervisor/supervisor.toml")
VARIABLE = "SUPERVISOR_CONFIG"


def find(explicit: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the path of the config, and a phrase that says why it is this one.

    Args:
        explicit: the argument of `-c`; None when it was not given.
        environ: where `$SUPERVISOR_CONFIG` is looked up; empty counts as not set.

    Raises:
        ConfigErrors: there is no config; the error says which paths were tried.
    """
    if explicit is not None:
        return explicit, "given with -c"
    if named := environ.get(VARIABLE):
        return named, f"named by ${VARIABLE}"
    for place in PLACES:
        if os.path.lexists(place):
            return place, f"the first that exists of {', '.join(PLACES)}"
    tried = f"${VARIABLE} is not set, and these files do not exist: {', '.join(PLACES)}"
    raise ConfigErrors([ConfigError("", 0, "", "", f"no config found: {tried}; name one with -c FILE")])
