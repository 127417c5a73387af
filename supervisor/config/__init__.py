"""The config: from TOML files to the values of `core.definition`, or to everything that is wrong, all at once.

`load` reads and checks, `find` says which file. `duration_of` reads a duration as the config
does. `schema` is what may be written.
"""

from supervisor.config.errors import ConfigError, ConfigErrors
from supervisor.config.find import find
from supervisor.config.load import load
from supervisor.config.quantity import duration_of
from supervisor.core.definition import Config

__all__ = ["Config", "ConfigError", "ConfigErrors", "duration_of", "find", "load"]
