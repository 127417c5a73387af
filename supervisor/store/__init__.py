"""Keep state on disk: the runs in progress for the next supervisor, the freezes for the next boot, the history."""
