"""A process supervisor for the background tasks of one Linux VM."""

from supervisor.version import __version__

__all__ = ["__version__"]
