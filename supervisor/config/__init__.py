"""Read the config: turn TOML files into the values of `core.definition`, or report every error at once.

- `load` reads and checks a config, and accepts no error.
- `examine` does the same, but also returns a config that has only errors of the machine.
- `judge` is the check that `supctl check` and `supervisor --check` show.
- `find` chooses the file.
- `duration_of` reads a duration as the config does.
- `schema` lists what a config may contain.
"""

from supervisor.config.errors import ConfigError, ConfigErrors, ErrorKind
from supervisor.config.find import find
from supervisor.config.load import examine, load
from supervisor.config.quantity import duration_of
from supervisor.config.verdict import judge
from supervisor.core.definition import Config

__all__ = ["Config", "ConfigError", "ConfigErrors", "ErrorKind", "duration_of", "examine", "find", "judge", "load"]
