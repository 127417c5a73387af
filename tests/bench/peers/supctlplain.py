"""supctlplain: this project, with a time stamp on each line."""
from __future__ import annotations

from . import supctl


class Peer(supctl.Peer):
    name = "supctlplain"
    log_format = "plain"
    log_extra = len("2026-11-21T14:02:11.123Z out ")
